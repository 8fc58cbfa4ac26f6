"""Telling the world: one outbox event per change that somebody outside must know, with the incident frozen in it."""

from typing import Any

from django.conf import settings

from apps.events import outbox
from apps.events.installation import current_epoch
from apps.incidents.choices import ToldAs
from apps.incidents.models import Incident, Revision

OPENED, UPDATED = "incident.opened", "incident.updated"
ACKED, CLOSED = "incident.acked", "incident.closed"
MAX_EVIDENCE = 5


def tell(topic: str, incident: Incident) -> None:
    """Emit an event with the incident as it stands; its sequence grows by one. Call it inside the change's
    transaction, with the incident's row locked.

    Receivers hear of each incident one whole story: opened, what became of it, closed, and, where it came back, on
    from there. Nobody is told of an incident that is held, except that what they think open is closed.
    """
    word = _word_for(topic, incident)
    if word is None:
        return
    incident.sequence += 1
    incident.epoch = current_epoch()
    incident.told_as = ToldAs.CLOSED if word == CLOSED else ToldAs.OPEN
    incident.save(update_fields=["sequence", "epoch", "told_as"])
    outbox.emit(topic=word, key=str(incident.id), payload=frozen(incident))


def _word_for(topic: str, incident: Incident) -> str | None:
    """The event that says it to receivers who know what they were told last; None: there is nothing to say."""
    if topic == CLOSED:
        return CLOSED if incident.told_as == ToldAs.OPEN else None
    if incident.is_held:
        return None
    if incident.told_as == ToldAs.NOTHING:
        return OPENED
    return topic if incident.told_as == ToldAs.OPEN else UPDATED


def frozen(incident: Incident) -> dict[str, Any]:
    """The incident as the webhook contract describes it."""
    trouble = current_trouble(incident)
    return {
        "id": str(incident.id),
        "number": incident.number,
        "epoch": incident.epoch,
        "sequence": incident.sequence,
        "title": incident.title,
        "status": incident.status,
        "severity": incident.severity,
        "starts_at": incident.started_at.isoformat(),
        "ends_at": incident.ended_at.isoformat() if incident.ended_at else None,
        "url": f"{settings.ISPVM_PUBLIC_URL}/incidents/{incident.id}/",
        "ack": {
            "acked_by": incident.acked_by or None,
            "acked_at": incident.acked_at.isoformat() if incident.acked_at else None,
        },
        "root_causes": [
            {
                name: cause[name]
                for name in ("entity_type", "entity_id", "name", "confidence", "classification")
            }
            for cause in trouble.get("causes", ())
        ],
        "impact": {
            "sites_affected": incident.sites_affected,
            "devices_affected": incident.devices_affected,
            "services_affected": incident.services_affected,
            "estimated_subscribers_affected": incident.subscribers_affected,
        },
        "evidence_top": _top_evidence(trouble),
    }


def current_trouble(incident: Incident) -> dict[str, Any]:
    """What the newest revision says."""
    revision = Revision.objects.filter(incident=incident, number=incident.revision).first()
    return revision.trouble if revision else {}


def _top_evidence(trouble: dict[str, Any]) -> list[str]:
    lines = [sign["text"] for cause in trouble.get("causes", ()) for sign in cause["signs"]]
    return list(dict.fromkeys(lines))[:MAX_EVIDENCE]
