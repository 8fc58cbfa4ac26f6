"""Publishing incident events: one outbox event per change, with a snapshot of the incident."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from apps.core.messages import Message
from apps.events import outbox
from apps.events.installation import current_epoch
from apps.incidents.changes import CLOSED, OPENED, UPDATED
from apps.incidents.choices import PublishedStatus
from apps.incidents.models import Incident, Revision

MAX_EVIDENCE = 5
#: The fields that ``next_event`` sets.
EVENT_FIELDS = ("sequence", "epoch", "last_published")


def publish(topic: str, incident: Incident) -> None:
    """Emit an event with the incident as it stands. Call it inside the change's transaction, with the incident's row
    locked."""
    event_type = next_event(topic, incident)
    if event_type is not None:
        incident.save(update_fields=EVENT_FIELDS)
        payload = snapshot_of(incident, current_problem(incident))
        outbox.emit(topic=event_type, key=str(incident.id), payload=payload)


def next_event(topic: str, incident: Incident) -> str | None:
    """The type of the event that a change causes; its number and status are set on the incident, to be saved. None:
    nothing is published.

    Per incident receivers get a complete sequence: opened, updates, closed and, after a reopening, an update and closed
    again. While notifications are suppressed nothing is published, except the close of an incident that was
    published as open.
    """
    event_type = _event_type(topic, incident)
    if event_type is not None:
        incident.sequence += 1
        incident.epoch = current_epoch()
        incident.last_published = (
            PublishedStatus.CLOSED if event_type == CLOSED else PublishedStatus.OPEN
        )
    return event_type


def _event_type(topic: str, incident: Incident) -> str | None:
    """The event type, given the last published status; None: publish nothing."""
    if topic == CLOSED:
        return CLOSED if incident.last_published == PublishedStatus.OPEN else None
    if incident.notifications_suppressed:
        return None
    if incident.last_published == PublishedStatus.NOTHING:
        return OPENED
    return topic if incident.last_published == PublishedStatus.OPEN else UPDATED


def snapshot_of(incident: Incident, problem: Mapping[str, Any]) -> dict[str, Any]:
    """The incident in the shape of the webhook contract; ``problem`` is its newest revision's."""
    evidence = _top_evidence(problem)
    merged_into = {"merged_into": str(incident.merged_into_id)} if incident.merged_into_id else {}
    return {
        **merged_into,
        "id": str(incident.id),
        "number": incident.number,
        "epoch": incident.epoch,
        "sequence": incident.sequence,
        "title": incident.title,
        "title_message": incident.title_message.as_document() if incident.title_message else None,
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
            for cause in problem.get("causes", ())
        ],
        "impact": {
            "sites_affected": incident.sites_affected,
            "devices_affected": incident.devices_affected,
            "services_affected": incident.services_affected,
            "estimated_subscribers_affected": incident.subscribers_affected,
        },
        "evidence_top": [message.english for message in evidence],
        "evidence_messages": [message.as_document() for message in evidence],
    }


def current_problem(incident: Incident) -> dict[str, Any]:
    """The problem of the newest revision."""
    revision = Revision.objects.filter(incident=incident, number=incident.revision).first()
    return revision.problem if revision else {}


def _top_evidence(problem: Mapping[str, Any]) -> list[Message]:
    """The first messages, each once."""
    found: dict[str, Message] = {}
    for cause in problem.get("causes", ()):
        for item in cause["evidence"]:
            message = Message.from_document(item["message"])
            found.setdefault(message.english, message)
    return list(found.values())[:MAX_EVIDENCE]
