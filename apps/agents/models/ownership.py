"""Ended assignments, and quarantined data about entities that are not assigned to the agent."""

from django.db import models
from django.db.models import Q

from apps.agents.choices import AssignmentKind
from apps.agents.models.agent import Agent
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class FormerAssignment(TenantModel):
    """When an agent's assignment to a device ended: buffered data from before is still accepted."""

    agent = TenantForeignKey(Agent, on_delete=models.CASCADE, related_name="former_assignments")
    device = TenantForeignKey(
        "inventory.Device", on_delete=models.CASCADE, related_name="former_assignments"
    )
    kind = models.CharField(max_length=10, choices=AssignmentKind.choices)
    ended_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "agent", "device", "kind"], name="agents_formerassignment_uniq"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=AssignmentKind.values), name="agents_formerassignment_kind_ck"
            ),
        ]


class QuarantinedEntity(TenantModel):
    """Data that an agent sent about an entity that is not assigned to it: a count and the first few items. It is not
    stored elsewhere."""

    agent = TenantForeignKey(Agent, on_delete=models.CASCADE, related_name="quarantined")
    entity_type = models.CharField(max_length=20)
    entity_id = models.UUIDField()
    # Metrics and event types, in order of arrival; at most ``services.quarantine.MAX_NAMES``.
    names = models.JSONField(default=list)
    samples = models.JSONField(default=list)
    count = models.BigIntegerField(default=0)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "agent", "entity_type", "entity_id"],
                name="agents_quarantined_entity_uniq",
            )
        ]
        indexes = [
            models.Index(
                fields=["tenant", "agent", "last_seen_at"], name="agents_quarantined_seen_idx"
            )
        ]
