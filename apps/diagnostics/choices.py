from django.db import models
from django.utils.translation import gettext_lazy as _


class TestState(models.TextChoices):
    """State of a test. Expired is derived from the time and never stored."""

    __test__ = False  # not a pytest class

    WAITING = "waiting", _("Waiting for the agent")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    EXPIRED = "expired", _("The agent did not respond in time")


class TestOutcome(models.TextChoices):
    """Result of a test."""

    __test__ = False

    OK = "ok", _("Login succeeded")
    WRONG_CREDENTIALS = "wrong_credentials", _("Login failed: wrong user name or password")
    UNREACHABLE = "unreachable", _("No route to the router")
    REFUSED = "refused", _("Connection refused: the service is disabled or uses another port")
    TLS_FAILED = "tls_failed", _("TLS handshake failed")
    TIMEOUT = "timeout", _("Connection timed out")
    API_DISABLED = (
        "api_disabled",
        _("The device closed the session, or another service answers on this port"),
    )
    UNSUPPORTED = "unsupported", _("The agent has no collector for this device: upgrade the agent")
    NO_CREDENTIALS = "no_credentials", _("No credentials that the agent can decrypt")
