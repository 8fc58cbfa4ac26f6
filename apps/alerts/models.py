"""Rules of a tenant, and the episodes in which they spoke."""

from django.db import models
from django.db.models import Q

from apps.alerts.choices import AlertState, Severity
from apps.alerts.rules.program import Level
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class AlertRule(TenantModel):
    """A tenant's copy of a rule: the document as it was imported, switched on or off."""

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
    """A tenant's change of a rule for a device, tag, role, site or everywhere; the nearest wins."""

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


class Alert(TenantModel):
    """One episode of one rule on one entity, from its first bad reading to its recovery.

    Only ``alerts.services`` moves it. An episode that never fired leaves no row behind.
    """

    rule = TenantForeignKey(AlertRule, on_delete=models.CASCADE, related_name="alerts")
    entity_type = models.CharField(max_length=20)
    entity_id = models.UUIDField()
    state = models.CharField(max_length=12, choices=AlertState.choices)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    # When the first bad value was read, by the clock of who read it.
    since = models.DateTimeField()
    fired_at = models.DateTimeField(null=True, blank=True)
    well_since = models.DateTimeField(null=True, blank=True)
    recovered_at = models.DateTimeField(null=True, blank=True)
    # It comes and goes: single readings do not move it until it is quiet.
    is_flapping = models.BooleanField(default=False)
    # The announced work that covers its entity now; it lies over the state and moves nothing.
    maintenance_id = models.UUIDField(null=True, blank=True)
    summary = models.CharField(max_length=500)
    # What was seen when it last moved: value, threshold, override, reading's time.
    seen = models.JSONField()

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
        ]
        indexes = [
            models.Index(
                fields=["tenant", "rule"], condition=~Q(state="ok"), name="alerts_alert_open_idx"
            ),
            models.Index(fields=["tenant", "-since", "-id"], name="alerts_alert_since_idx"),
            models.Index(fields=["tenant", "-recovered_at"], name="alerts_alert_recovered_idx"),
        ]


class AlertTransition(TenantModel):
    """One move of an alert, with what was seen."""

    # The database cascades (composite key); the app role itself may not delete history.
    alert = TenantForeignKey(Alert, on_delete=models.DO_NOTHING, related_name="transitions")
    at = models.DateTimeField()
    from_state = models.CharField(max_length=12)
    to_state = models.CharField(max_length=12)
    seen = models.JSONField()

    class Meta:
        indexes = [models.Index(fields=["tenant", "alert", "at"], name="alerts_transition_at_idx")]
