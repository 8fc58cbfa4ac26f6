from django.db import models
from django.utils.translation import gettext_lazy as _


class TestState(models.TextChoices):
    """Where a test stands. One that nobody finished in its time is expired: nobody writes that down."""

    __test__ = False  # no test of ours, whatever its name

    WAITING = "waiting", _("Waiting for the agent")
    RUNNING = "running", _("The agent is trying")
    DONE = "done", _("Done")
    EXPIRED = "expired", _("The agent did not answer in time")


class TestOutcome(models.TextChoices):
    """What came of it."""

    __test__ = False

    OK = "ok", _("The login works")
    WRONG_CREDENTIALS = "wrong_credentials", _("The router refuses the login")
    UNREACHABLE = "unreachable", _("There is no way to the router")
    REFUSED = "refused", _("The port is closed: the API service is off, or has another port")
    TLS_FAILED = "tls_failed", _("No TLS could be agreed on")
    TIMEOUT = "timeout", _("The router does not answer in time")
    API_DISABLED = (
        "api_disabled",
        _("The router ends the session: the API is not open to the agent"),
    )
    NO_CREDENTIALS = "no_credentials", _("There is no login that the agent can open")
