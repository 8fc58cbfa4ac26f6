"""Closed lists of webhooks."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class EventType(models.TextChoices):
    """What a receiver may be told. Receivers ignore types they do not know."""

    INCIDENT_OPENED = "incident.opened", _("Incident opened")
    INCIDENT_UPDATED = "incident.updated", _("Incident updated")
    INCIDENT_ACKED = "incident.acked", _("Incident acknowledged")
    INCIDENT_CLOSED = "incident.closed", _("Incident closed")
    PING = "webhook.ping", _("Test")


INCIDENT_EVENTS = (
    EventType.INCIDENT_OPENED,
    EventType.INCIDENT_UPDATED,
    EventType.INCIDENT_ACKED,
    EventType.INCIDENT_CLOSED,
)


class SeverityFloor(models.TextChoices):
    """Incidents below it are not sent."""

    INFO = "info", _("Info and above")
    WARN = "warn", _("Warning and above")
    CRITICAL = "critical", _("Critical only")


SEVERITY_ORDER = {"info": 0, "warn": 1, "critical": 2}


class PauseReason(models.TextChoices):
    """Why nothing is sent; empty while the endpoint is active."""

    OPERATOR = "operator", _("Paused by a person")
    GONE = "gone", _("The receiver answered 410 Gone")
    FAILING = "failing", _("Nothing but failures for 120 hours")


class SecretStage(models.TextChoices):
    """A secret's place in its rotation."""

    STAGED = "staged", _("Staged: signs beside the current one")
    CURRENT = "current", _("Current")
    RETIRING = "retiring", _("Retiring: still signs until its grace ends")


class DeliveryState(models.TextChoices):
    """Where one event for one endpoint stands."""

    PENDING = "pending", _("Waiting for its next attempt")
    LEASED = "leased", _("Being sent")
    DELIVERED = "delivered", _("Delivered")
    DEAD = "dead", _("Given up")


class DeadReason(models.TextChoices):
    """Why a delivery was given up."""

    EXHAUSTED = "exhausted", _("Every attempt failed")
    ENDPOINT_PAUSED = "endpoint_paused", _("The endpoint was paused by the platform")
    ENDPOINT_DELETED = "endpoint_deleted", _("The endpoint was deleted")
    TEST_FAILED = "test_failed", _("A test is tried once")


class Outcome(models.TextChoices):
    """How an attempt ended."""

    SENDING = "sending", _("Under way")
    DELIVERED = "delivered", _("Accepted")
    REJECTED = "rejected", _("Answered, but not with 2xx")
    FAILED = "failed", _("No answer")
    INTERRUPTED = "interrupted", _("The sender died before it knew")
