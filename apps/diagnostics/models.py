from django.db import models
from django.db.models import Q

from apps.agents.models import Agent
from apps.diagnostics.choices import TestOutcome, TestState
from apps.inventory.models import Device
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class ConnectionTest(TenantModel):
    """A test whether a login works on a router, run by the agent of the device.

    It runs once: if the agent fails while it runs, the test expires.
    """

    __test__ = False  # not a pytest class

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="connection_tests")
    agent = TenantForeignKey(Agent, on_delete=models.CASCADE, related_name="connection_tests")
    # Null: the device's own logins, best first.
    credential_set = TenantForeignKey(
        "vault.CredentialSet", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    # The destination at the time of the request: a device that has moved since is not tried. Empty: requested before
    # an upgrade.
    destination = models.CharField(max_length=64, blank=True, default="", db_default="")
    state = models.CharField(max_length=20, choices=TestState.choices, default=TestState.WAITING)
    requested_by = models.JSONField()
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    outcome = models.CharField(max_length=30, choices=TestOutcome.choices, blank=True, default="")
    # The credential set that the router accepted, as the agent reports it.
    accepted_credential_set = models.UUIDField(null=True, blank=True)
    identity = models.CharField(max_length=200, blank=True, default="")
    version = models.CharField(max_length=100, blank=True, default="")
    board_name = models.CharField(max_length=100, blank=True, default="")
    # From the first packet to the response to the login.
    latency_ms = models.FloatField(null=True, blank=True)
    detail = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["tenant", "agent", "requested_at"],
                name="diagnostics_waiting_idx",
                condition=Q(state="waiting"),
            ),
            models.Index(
                fields=["tenant", "device", "requested_at"], name="diagnostics_device_idx"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=TestState.values), name="diagnostics_test_state_ck"
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["", *TestOutcome.values]),
                name="diagnostics_test_outcome_ck",
            ),
        ]
