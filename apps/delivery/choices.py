"""Choices of deliveries. Their values are part of the REST interface."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class EventType(models.TextChoices):
    """Types of events. Receivers ignore types they do not know."""

    INCIDENT_OPENED = "incident.opened", _("Incident opened")
    INCIDENT_UPDATED = "incident.updated", _("Incident updated")
    INCIDENT_ACKED = "incident.acked", _("Incident acknowledged")
    INCIDENT_CLOSED = "incident.closed", _("Incident closed")
    # A test of any channel; the value is that of the webhook contract.
    PING = "webhook.ping", _("Test")


INCIDENT_EVENTS = (
    EventType.INCIDENT_OPENED,
    EventType.INCIDENT_UPDATED,
    EventType.INCIDENT_ACKED,
    EventType.INCIDENT_CLOSED,
)


class PauseReason(models.TextChoices):
    """Why nothing is sent; empty while the destination is active."""

    OPERATOR = "operator", _("Paused by an operator")
    GONE = "gone", _("Receiver responded 410 Gone")
    FAILING = "failing", _("Failing for 120 hours")


class DeliveryState(models.TextChoices):
    """State of a delivery."""

    PENDING = "pending", _("Pending")
    LEASED = "leased", _("Sending")
    DELIVERED = "delivered", _("Delivered")
    DEAD = "dead", _("Failed (dead letter)")


class DeadReason(models.TextChoices):
    """Why a delivery became a dead letter."""

    EXHAUSTED = "exhausted", _("Retries exhausted")
    REFUSED = "refused", _("Refused by the receiver for good")
    ENDPOINT_PAUSED = "endpoint_paused", _("Endpoint paused by the platform")
    ENDPOINT_DELETED = "endpoint_deleted", _("Endpoint deleted")
    TEST_FAILED = "test_failed", _("Test failed (tests are not retried)")


class Outcome(models.TextChoices):
    """Result of an attempt."""

    SENDING = "sending", _("In progress")
    DELIVERED = "delivered", _("Accepted")
    REJECTED = "rejected", _("HTTP error response")
    FAILED = "failed", _("No response")
    INTERRUPTED = "interrupted", _("Interrupted (the sending process ended)")
