"""Telling the world: one outbox event per change that somebody outside must know, with the incident frozen in it."""

from typing import Any

from django.conf import settings

from apps.events import outbox
from apps.incidents.models import Incident, Revision

OPENED, UPDATED = "incident.opened", "incident.updated"
ACKED, CLOSED = "incident.acked", "incident.closed"
MAX_EVIDENCE = 5


def tell(topic: str, incident: Incident) -> None:
    """Emit an event with the incident as it stands; its sequence grows by one. Call it inside the change's
    transaction, with the incident's row locked.

    Nobody is told of an incident that is held; whoever was told before that it is open is told that it is closed."""
    if incident.is_held and not (topic == CLOSED and incident.sequence):
        return
    incident.sequence += 1
    incident.save(update_fields=["sequence"])
    outbox.emit(topic=topic, key=str(incident.id), payload=frozen(incident))


def frozen(incident: Incident) -> dict[str, Any]:
    """The incident as the webhook contract describes it."""
    trouble = current_trouble(incident)
    return {
        "id": str(incident.id),
        "number": incident.number,
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
