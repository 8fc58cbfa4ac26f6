from django.db import models
from django.db.models import F, Q
from django.utils.functional import cached_property

from apps.delivery.models import Destination
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel
from apps.webhooks.choices import SecretStage, SeverityFloor
from apps.webhooks.rendering import PayloadOptions


class Endpoint(TenantModel):
    """A URL that receives incident events: the configuration of a webhook destination, with the same id.

    Changed only by ``webhooks.services``. That of a deleted destination is kept for its delivery log.
    """

    destination = TenantForeignKey(
        Destination, on_delete=models.CASCADE, related_name="+", db_index=False
    )
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

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(severity_floor__in=SeverityFloor.values),
                name="webhooks_endpoint_floor_ck",
            ),
            # REST shows one id for both.
            models.CheckConstraint(
                condition=Q(id=F("destination")), name="webhooks_endpoint_destination_ck"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    # Not a property, so that a list can annotate it to order by it.
    @cached_property
    def name(self) -> str:
        name: str = self.destination.name
        return name

    @property
    def payload_options(self) -> PayloadOptions:
        """Which data it receives."""
        return PayloadOptions(
            hides_tenant_name=self.hides_tenant_name,
            hides_people=self.hides_people,
            hides_evidence=self.hides_evidence,
            thin=self.is_thin,
        )


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
