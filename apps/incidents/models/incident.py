"""An outage as the operator tells it, the alerts under it, and its story."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext

from apps.alerts.choices import Severity
from apps.incidents.choices import EntryKind, IncidentStatus, Resolution, ToldAs
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel

#: Reopened so often, an incident is flapping.
FLAPPING_AFTER = 2


class Incident(TenantModel):
    """One outage as the operator tells it: the alerts believed to share causes.

    Opened, moved and closed only by ``incidents.services``; alerts come and go underneath it. What the last verdict
    said is kept here for lists; the whole of it stands in the revision.
    """

    # Per tenant, as people say it: INC-17.
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=IncidentStatus.choices)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    title = models.CharField(max_length=200)
    # When the first symptom was seen, by the clock of who saw it; ``opened_at`` is when we said so.
    started_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=10, choices=Resolution.choices, blank=True, default="")
    merged_into = TenantForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="merged"
    )
    # How often it came back soon after it had closed; see ``is_flapping``.
    reopened_count = models.PositiveIntegerField(default=0)
    # Grows by one per event told to the world.
    sequence = models.PositiveIntegerField(default=0)
    # Of the last of them: greater after the database was restored, when ``sequence`` repeats.
    epoch = models.BigIntegerField(default=0)
    # What the last of them said. Announced work holds events back, so that it may differ from ``status``.
    told_as = models.CharField(max_length=10, choices=ToldAs.choices, blank=True, default="")
    revision = models.PositiveIntegerField(default=0)
    root_type = models.CharField(max_length=20)
    root_id = models.UUIDField()
    root_name = models.CharField(max_length=200)
    confidence = models.FloatField()
    sites_affected = models.PositiveIntegerField(default=0)
    devices_affected = models.PositiveIntegerField(default=0)
    services_affected = models.PositiveIntegerField(default=0)
    # Null: nobody ever counted the sessions behind the cause.
    subscribers_affected = models.PositiveIntegerField(null=True, blank=True)
    suppressed_count = models.PositiveIntegerField(default=0)
    # What is wrong comes and goes.
    has_flapping = models.BooleanField(default=False)
    # Announced work that covers every one of its causes.
    maintenance_id = models.UUIDField(null=True, blank=True)
    maintenance_title = models.CharField(max_length=200, blank=True, default="")
    # Nobody is told while this stands.
    is_held = models.BooleanField(default=False)
    acked_by = models.CharField(max_length=200, blank=True, default="")
    acked_at = models.DateTimeField(null=True, blank=True)
    assigned_to = models.CharField(max_length=200, blank=True, default="")
    assigned_user_id = models.UUIDField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "number"], name="incidents_incident_number_uniq"
            ),
            models.CheckConstraint(
                condition=Q(status__in=IncidentStatus.values), name="incidents_incident_status_ck"
            ),
            models.CheckConstraint(
                condition=Q(severity__in=Severity.values), name="incidents_incident_severity_ck"
            ),
            models.CheckConstraint(
                condition=Q(told_as="", sequence=0)
                | Q(told_as__in=[ToldAs.OPEN, ToldAs.CLOSED], sequence__gt=0),
                name="incidents_incident_told_ck",
            ),
            models.CheckConstraint(
                condition=Q(status="open", ended_at__isnull=True, resolution="")
                | (
                    Q(status="closed", ended_at__isnull=False) & Q(resolution__in=Resolution.values)
                ),
                name="incidents_incident_end_ck",
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "-started_at", "-id"], name="incidents_incident_started_idx"
            ),
            models.Index(
                fields=["tenant", "root_id", "-ended_at"], name="incidents_incident_root_idx"
            ),
            models.Index(
                fields=["tenant", "-started_at"],
                condition=Q(status="open"),
                name="incidents_incident_open_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"INC-{self.number} {self.shown_title}"

    @property
    def is_root_named(self) -> bool:
        """Whether its first cause may be named to whoever read it (see ``limits.with_root_seen``)."""
        return getattr(self, "is_root_seen", True)

    @property
    def shown_title(self) -> str:
        """The title, which names the cause; for whom the cause is outside the grant, just that."""
        return (
            self.title if self.is_root_named else gettext("The cause is outside what you may see")
        )

    @property
    def shown_root_name(self) -> str:
        return self.root_name if self.is_root_named else ""

    @property
    def is_open(self) -> bool:
        return self.status == IncidentStatus.OPEN

    @property
    def keeps_coming_back(self) -> bool:
        """Whether it was reopened often: it then closes only after a longer quiet."""
        return self.reopened_count >= FLAPPING_AFTER

    @property
    def is_flapping(self) -> bool:
        """Whether what is wrong comes and goes."""
        return self.has_flapping or self.keeps_coming_back

    @property
    def in_maintenance(self) -> bool:
        """Whether announced work covers every one of its causes."""
        return self.maintenance_id is not None


class IncidentAlert(TenantModel):
    """An alert under an incident: one of the causes' own signs, or a consequence that says by what, why, since when."""

    # The database cascades (composite key).
    incident = TenantForeignKey(Incident, on_delete=models.DO_NOTHING, related_name="alerts")
    alert = TenantForeignKey("alerts.Alert", on_delete=models.DO_NOTHING, related_name="+")
    kind = models.CharField(max_length=30)
    entity_type = models.CharField(max_length=20)
    entity_id = models.UUIDField()
    entity_name = models.CharField(max_length=200)
    # The router that it sits on, for reading side by side; empty for what stands alone.
    device_name = models.CharField(max_length=200, blank=True, default="")
    severity = models.CharField(max_length=10, choices=Severity.choices)
    summary = models.CharField(max_length=500)
    state = models.CharField(max_length=12)
    since = models.DateTimeField()
    is_suppressed = models.BooleanField(default=False)
    suppressed_by_type = models.CharField(max_length=20, blank=True, default="")
    suppressed_by_id = models.UUIDField(null=True, blank=True)
    suppressed_reason = models.CharField(max_length=500, blank=True, default="")
    suppressed_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "alert"], name="incidents_alert_uniq"),
            models.CheckConstraint(
                condition=Q(is_suppressed=False)
                | (
                    Q(suppressed_by_id__isnull=False, suppressed_since__isnull=False)
                    & ~Q(suppressed_reason="")
                ),
                name="incidents_alert_suppressed_ck",
            ),
            models.CheckConstraint(
                condition=Q(severity__in=Severity.values), name="incidents_alert_severity_ck"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "incident"], name="incidents_alert_incident_idx"),
            models.Index(fields=["tenant", "entity_id"], name="incidents_alert_entity_idx"),
        ]

    @property
    def held_because(self) -> str:
        """Why it is held back, empty when it is not; what is outside a grant is not named."""
        if not self.is_suppressed:
            return ""
        if not getattr(self, "is_cause_seen", True):  # see limits.seen_alerts
            return gettext("A consequence of something outside what you may see")
        return self.suppressed_reason


class TimelineEntry(TenantModel):
    """One line of an incident's story. Written once, never changed."""

    incident = TenantForeignKey(Incident, on_delete=models.DO_NOTHING, related_name="timeline")
    at = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=EntryKind.choices)
    text = models.CharField(max_length=4000)
    actor = models.JSONField(null=True, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=EntryKind.values), name="incidents_timeline_kind_ck"
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "incident", "at"], name="incidents_timeline_at_idx")
        ]
