from django.db import models
from django.utils.translation import gettext_lazy as _


class AgentStatus(models.TextChoices):
    """The lifecycle of an agent."""

    PENDING = "pending", _("Pending enrollment")
    ACTIVE = "active", _("Active")
    REVOKED = "revoked", _("Revoked")


class AssignmentKind(models.TextChoices):
    """How an agent monitors a device."""

    POLL = "poll", _("Polls")
    PROBE = "probe", _("Probes reachability")


class AuthorityStage(models.TextChoices):
    """The lifecycle of a certificate authority."""

    NEXT = "next", _("Next: published to agents, not signing")
    ACTIVE = "active", _("Active: signing")
    OLD = "old", _("Old: trusted, not signing")
    RETIRED = "retired", _("Retired: not trusted")


class SigningKind(models.TextChoices):
    """Kinds of requests to the signer."""

    ENROLL = "enroll", _("Enrollment certificate")
    RENEW = "renew", _("Certificate renewal")
    LISTENER = "listener", _("Ingest listener certificate")
    STAGE = "stage", _("Next authority")


class SigningState(models.TextChoices):
    """State of a signing request."""

    WAITING = "waiting", _("Waiting")
    DONE = "done", _("Answered")
    REFUSED = "refused", _("Refused")
