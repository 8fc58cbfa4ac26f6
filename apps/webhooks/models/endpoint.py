from django.db import models
from django.db.models import Q

from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel
from apps.webhooks.choices import PauseReason, SecretStage, SeverityFloor


class Endpoint(TenantModel):
    """A URL that receives incident events.

    Changed only by ``webhooks.services``. A deleted endpoint is kept for its delivery log.
    """

    name = models.CharField(max_length=100)
    url = models.CharField(max_length=2048)
    # Empty: every incident event.
    event_types = models.JSONField(default=list, blank=True)
    severity_floor = models.CharField(
        max_length=20, choices=SeverityFloor.choices, default=SeverityFloor.INFO
    )
    hides_tenant_name = models.BooleanField(default=False)
    hides_people = models.BooleanField(default=False)
    hides_evidence = models.BooleanField(default=False)
    is_thin = models.BooleanField(default=False)
    # PEM; replaces the system's certificate authorities for this receiver.
    ca_pem = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True)

    # Empty: active.
    pause_reason = models.CharField(
        max_length=20, choices=PauseReason.choices, blank=True, default=""
    )
    paused_at = models.DateTimeField(null=True, blank=True)

    last_success_at = models.DateTimeField(null=True, blank=True)
    # The first failure after the last success.
    failing_since = models.DateTimeField(null=True, blank=True)
    # Consecutive timeouts. Each blocks a worker thread for up to 15 s: see leasing.
    slow_failures = models.PositiveIntegerField(default=0)
    backoff_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"],
                condition=Q(deleted_at__isnull=True),
                name="webhooks_endpoint_name_uniq",
            ),
            models.CheckConstraint(
                condition=Q(severity_floor__in=SeverityFloor.values),
                name="webhooks_endpoint_floor_ck",
            ),
            models.CheckConstraint(
                condition=Q(pause_reason__in=["", *PauseReason.values]),
                name="webhooks_endpoint_pause_ck",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_paused(self) -> bool:
        return bool(self.pause_reason)


class Secret(TenantModel):
    """An encrypted signing secret of an endpoint; at most one per rotation stage."""

    endpoint = TenantForeignKey(Endpoint, on_delete=models.CASCADE, related_name="secrets")
    stage = models.CharField(max_length=20, choices=SecretStage.choices)
    sealed = models.BinaryField()
    created_at = models.DateTimeField()
    # End of a retiring secret's grace period.
    retire_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "endpoint", "stage"], name="webhooks_secret_stage_uniq"
            ),
            models.CheckConstraint(
                condition=Q(stage__in=SecretStage.values), name="webhooks_secret_stage_ck"
            ),
            models.CheckConstraint(
                condition=Q(stage=SecretStage.RETIRING, retire_at__isnull=False)
                | (~Q(stage=SecretStage.RETIRING) & Q(retire_at__isnull=True)),
                name="webhooks_secret_retire_ck",
            ),
        ]
