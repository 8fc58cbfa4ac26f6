"""Alert rules of a tenant, their overrides, and the alerts that they raised."""

from typing import Self

from django.db import models
from django.db.models import Q, Value

from apps.alerts.choices import AlertState, EndReason, Severity
from apps.alerts.rules.program import Level
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core.folding import Folded
from apps.core.message_field import MessageField
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class AlertRule(TenantModel):
    """A tenant's copy of a rule: the imported document, and whether it is enabled."""

    key = models.CharField(max_length=63)
    pack = models.CharField(max_length=60, blank=True, default="")
    version = models.PositiveIntegerField(default=1)
    document = models.JSONField()
    is_enabled = models.BooleanField(default=True)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "key"], name="alerts_alertrule_key_uniq")
        ]

    def __str__(self) -> str:
        return self.key


class RuleOverride(TenantModel):
    """A tenant's override of a rule for a device, tag, role, site or the whole tenant; the most specific wins."""

    rule = TenantForeignKey(AlertRule, on_delete=models.CASCADE, related_name="overrides")
    level = models.CharField(max_length=10)
    target = models.CharField(max_length=100, blank=True, default="")
    changes = models.JSONField()
    reason = models.CharField(max_length=200, blank=True, default="")
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "rule", "level", "target"], name="alerts_ruleoverride_target_uniq"
            ),
            models.CheckConstraint(
                condition=Q(level__in=[level.value for level in Level]),
                name="alerts_ruleoverride_level_ck",
            ),
        ]


class AlertQuerySet(models.QuerySet["Alert"]):
    def visible_to(self, access: Access) -> Self:
        """The alerts that this member may see."""
        rows: Self = access.visible(self, Permission.ALERTS_VIEW)  # type: ignore[assignment]  # keeps its class
        return rows

    def open(self) -> Self:
        """Alerts that have fired and have not recovered yet."""
        return self.filter(state__in=[AlertState.FIRING, AlertState.RECOVERING])

    def search(self, words: str) -> Self:
        """By a part of the summary, in English."""
        rows = self.annotate(folded_summary=Folded("summary"))
        return rows.filter(folded_summary__contains=Folded(Value(words)))


class Alert(TenantModel):
    """One episode of one rule on one entity, from its first breaching sample to its recovery.

    Only ``alerts.services`` changes its state. An episode that never fired is deleted.
    """

    rule = TenantForeignKey(AlertRule, on_delete=models.CASCADE, related_name="alerts")
    entity_type = models.CharField(max_length=20)
    entity_id = models.UUIDField()
    state = models.CharField(max_length=12, choices=AlertState.choices)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    # Timestamp of the first breaching sample, corrected by the skew of the clock of the agent that polled it.
    since = models.DateTimeField()
    fired_at = models.DateTimeField(null=True, blank=True)
    clear_since = models.DateTimeField(null=True, blank=True)
    recovered_at = models.DateTimeField(null=True, blank=True)
    # The newest sample while it waits to fire or to recover: a gap after it begins the waiting anew.
    sample_at = models.DateTimeField(null=True, blank=True)
    # Why it ended; empty while it is open.
    end_reason = models.CharField(
        max_length=20, choices=EndReason.choices, blank=True, default="", db_default=""
    )
    # While flapping, single samples do not change the state.
    is_flapping = models.BooleanField(default=False)
    # The active maintenance window that covers its entity; it does not change the state.
    maintenance_id = models.UUIDField(null=True, blank=True)
    # English, for search, sorting and programs; pages render ``summary_message`` in the reader's language.
    summary = models.CharField(max_length=500)
    summary_message = MessageField()
    # What the last transition was based on: value, threshold, override, sample timestamp.
    observation = models.JSONField()

    objects = AlertQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "rule", "entity_type", "entity_id"],
                condition=~Q(state="ok"),
                name="alerts_alert_open_uniq",
            ),
            models.CheckConstraint(
                condition=Q(state__in=AlertState.values), name="alerts_alert_state_ck"
            ),
            models.CheckConstraint(
                condition=Q(severity__in=Severity.values), name="alerts_alert_severity_ck"
            ),
            models.CheckConstraint(
                condition=Q(end_reason__in=["", *EndReason.values]), name="alerts_alert_end_ck"
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "rule"], condition=~Q(state="ok"), name="alerts_alert_open_idx"
            ),
            models.Index(fields=["tenant", "-since", "-id"], name="alerts_alert_since_idx"),
            models.Index(fields=["tenant", "-recovered_at"], name="alerts_alert_recovered_idx"),
        ]


class AlertTransition(TenantModel):
    """One state transition of an alert, with the observation that caused it."""

    # The database cascades (composite key); the app role itself may not delete history.
    alert = TenantForeignKey(Alert, on_delete=models.DO_NOTHING, related_name="transitions")
    at = models.DateTimeField()
    from_state = models.CharField(max_length=12)
    to_state = models.CharField(max_length=12)
    observation = models.JSONField()

    class Meta:
        indexes = [models.Index(fields=["tenant", "alert", "at"], name="alerts_transition_at_idx")]
