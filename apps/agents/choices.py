from django.db import models
from django.utils.translation import gettext_lazy as _


class AgentStatus(models.TextChoices):
    """Where an agent is in its life."""

    PENDING = "pending", _("Waiting for enrollment")
    ACTIVE = "active", _("Active")
    REVOKED = "revoked", _("Revoked")


class AssignmentKind(models.TextChoices):
    """What an agent does with a device."""

    READ = "read", _("Reads it")
    PROBE = "probe", _("Judges its reachability")


class AuthorityStage(models.TextChoices):
    """Where a certificate authority is in its life."""

    NEXT = "next", _("Told to agents, signs nothing yet")
    ACTIVE = "active", _("Signs")
    OLD = "old", _("Trusted, signs nothing any more")
    RETIRED = "retired", _("Trusted by nobody")


class SigningKind(models.TextChoices):
    """What the signer is asked for."""

    ENROLL = "enroll", _("Certificate for a token")
    RENEW = "renew", _("Certificate over a certificate")
    LISTENER = "listener", _("Certificate of the ingest listener")
    STAGE = "stage", _("Next authority")


class SigningState(models.TextChoices):
    """How far a request is."""

    WAITING = "waiting", _("Waiting")
    DONE = "done", _("Answered")
    REFUSED = "refused", _("Refused")
