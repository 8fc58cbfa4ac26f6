"""An incident, its alerts and its timeline."""

from typing import Self

from django.db import models
from django.db.models import BooleanField, Case, Q, Value, When
from django.utils.translation import gettext

from apps.alerts.choices import Severity
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core.folding import Folded
from apps.core.message_field import MessageField
from apps.incidents.changes import FLAPPING_AFTER
from apps.incidents.choices import EntryKind, IncidentStatus, PublishedStatus, Resolution
from apps.inventory.limits import entities_within
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class IncidentQuerySet(models.QuerySet["Incident"]):
    def visible_to(self, access: Access) -> Self:
        """The incidents that this member may see. For a limited one, annotated with ``root_is_visible``: whether the
        first cause may be named.
        """
        rows: Self = access.visible(self, Permission.INCIDENTS_VIEW)  # type: ignore[assignment]  # keeps its class
        if not access.is_limited:
            return rows
        return rows.annotate(
            root_is_visible=Case(
                When(entities_within(access.user.pk, "root_"), then=Value(value=True)),
                default=Value(value=False),
                output_field=BooleanField(),
            )
        )

    def open(self) -> Self:
        """The open incidents."""
        return self.filter(status=IncidentStatus.OPEN)

    def search(self, words: str) -> Self:
        """By number, or a part of title or cause."""
        wanted = Folded(Value(words))
        rows = self.annotate(folded_title=Folded("title"), folded_root=Folded("root_name"))
        matches = Q(folded_title__contains=wanted) | Q(folded_root__contains=wanted)
        if "root_is_visible" in self.query.annotations:
            # Else the name of a cause outside the grants could be guessed by searching.
            matches &= Q(root_is_visible=True)
        number = words.upper().removeprefix("INC-")
        if number.isascii() and number.isdecimal() and len(number) < 10:  # noqa: PLR2004
            matches |= Q(number=int(number))
        return rows.filter(matches)


class Incident(TenantModel):
    """One outage: the alerts believed to share causes.

    Opened, changed and closed only by ``incidents.services``. Fields of the newest verdict are copied here for lists;
    the revision holds all of it.
    """

    # Per tenant, shown as INC-17.
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=IncidentStatus.choices)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    # English, for search and exports; pages render ``title_message`` in the reader's language.
    title = models.CharField(max_length=200)
    title_message = MessageField(null=True, blank=True)
    # Time of the first symptom by the agent's clock; ``opened_at`` is when the incident was created.
    started_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=10, choices=Resolution.choices, blank=True, default="")
    merged_into = TenantForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="merged"
    )
    # How often it was reopened soon after it had closed; see ``is_flapping``.
    reopened_count = models.PositiveIntegerField(default=0)
    # Grows by one per published event.
    sequence = models.PositiveIntegerField(default=0)
    # Epoch of the last event: greater after the database was restored, when ``sequence`` repeats.
    epoch = models.BigIntegerField(default=0)
    # Status in the last published event. Maintenance suppresses events, so it may differ from ``status``.
    last_published = models.CharField(
        max_length=10, choices=PublishedStatus.choices, blank=True, default=""
    )
    revision = models.PositiveIntegerField(default=0)
    root_type = models.CharField(max_length=20)
    root_id = models.UUIDField()
    root_name = models.CharField(max_length=200)
    confidence = models.FloatField()
    sites_affected = models.PositiveIntegerField(default=0)
    devices_affected = models.PositiveIntegerField(default=0)
    services_affected = models.PositiveIntegerField(default=0)
    # Null: sessions behind the cause were never counted.
    subscribers_affected = models.PositiveIntegerField(null=True, blank=True)
    suppressed_count = models.PositiveIntegerField(default=0)
    # One of its alerts is flapping.
    has_flapping = models.BooleanField(default=False)
    # The maintenance window that covers every cause.
    maintenance_id = models.UUIDField(null=True, blank=True)
    maintenance_title = models.CharField(max_length=200, blank=True, default="")
    # Maintenance suppresses events and notifications.
    notifications_suppressed = models.BooleanField(default=False)
    acked_by = models.CharField(max_length=200, blank=True, default="")
    acked_at = models.DateTimeField(null=True, blank=True)
    assigned_to = models.CharField(max_length=200, blank=True, default="")
    assigned_user_id = models.UUIDField(null=True, blank=True)

    objects = IncidentQuerySet.as_manager()

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
                condition=Q(last_published="", sequence=0)
                | Q(
                    last_published__in=[PublishedStatus.OPEN, PublishedStatus.CLOSED],
                    sequence__gt=0,
                ),
                name="incidents_incident_published_ck",
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
        return f"INC-{self.number} {self.display_title}"

    @property
    def is_root_visible(self) -> bool:
        """Whether the reader may see the first cause (see ``IncidentQuerySet.visible_to``)."""
        return getattr(self, "root_is_visible", True)

    @property
    def display_title(self) -> str:
        """The title in the reader's language, or a placeholder where the cause is outside the reader's grants."""
        if not self.is_root_visible:
            return gettext("Cause outside your permissions")
        return str(self.title_message) if self.title_message else self.title

    @property
    def english_title(self) -> str:
        """The same in English, for REST and exports."""
        return self.title if self.is_root_visible else "Cause outside your permissions"

    @property
    def display_root_name(self) -> str:
        return self.root_name if self.is_root_visible else ""

    @property
    def is_open(self) -> bool:
        return self.status == IncidentStatus.OPEN

    @property
    def reopens_often(self) -> bool:
        """Whether it was reopened often: it then closes only after a longer time without changes."""
        return self.reopened_count >= FLAPPING_AFTER

    @property
    def is_flapping(self) -> bool:
        """Whether it was reopened often or one of its alerts is flapping."""
        return self.has_flapping or self.reopens_often

    @property
    def in_maintenance(self) -> bool:
        """Whether a maintenance window covers every cause."""
        return self.maintenance_id is not None


class IncidentAlert(TenantModel):
    """An alert of an incident: a root-cause alert, or a suppressed consequence with its cause, reason and time."""

    # The database cascades (composite key).
    incident = TenantForeignKey(Incident, on_delete=models.DO_NOTHING, related_name="alerts")
    alert = TenantForeignKey("alerts.Alert", on_delete=models.DO_NOTHING, related_name="+")
    kind = models.CharField(max_length=30)
    entity_type = models.CharField(max_length=20)
    entity_id = models.UUIDField()
    entity_name = models.CharField(max_length=200)
    # The router of the entity, for grouping; empty for entities without one.
    device_name = models.CharField(max_length=200, blank=True, default="")
    severity = models.CharField(max_length=10, choices=Severity.choices)
    summary_message = MessageField()
    state = models.CharField(max_length=12)
    since = models.DateTimeField()
    is_suppressed = models.BooleanField(default=False)
    suppressed_by_type = models.CharField(max_length=20, blank=True, default="")
    suppressed_by_id = models.UUIDField(null=True, blank=True)
    suppressed_reason = MessageField(null=True, blank=True)
    suppressed_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "alert"], name="incidents_alert_uniq"),
            models.CheckConstraint(
                condition=Q(is_suppressed=False)
                | Q(
                    suppressed_by_id__isnull=False,
                    suppressed_since__isnull=False,
                    suppressed_reason__isnull=False,
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
    def suppression_reason(self) -> str:
        """Why it is suppressed, empty when it is not; a cause outside the reader's grants is not named."""
        if not self.is_suppressed:
            return ""
        if not getattr(self, "cause_is_visible", True):  # see limits.alerts_within_grant
            return gettext("Consequence of an entity outside your permissions")
        return str(self.suppressed_reason)


class TimelineEntry(TenantModel):
    """One timeline entry of an incident. Append-only."""

    incident = TenantForeignKey(Incident, on_delete=models.DO_NOTHING, related_name="timeline")
    at = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=EntryKind.choices)
    # What an operator wrote; every other entry has a message.
    note = models.CharField(max_length=4000, blank=True, default="")
    message = MessageField(null=True, blank=True)
    actor = models.JSONField(null=True, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=EntryKind.values), name="incidents_timeline_kind_ck"
            ),
            models.CheckConstraint(
                condition=Q(note="", message__isnull=False)
                | (~Q(note="") & Q(message__isnull=True)),
                name="incidents_timeline_text_ck",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "incident", "at"], name="incidents_timeline_at_idx")
        ]

    @property
    def text(self) -> str:
        """The note, or the message in the reader's language."""
        return self.note or str(self.message)

    @property
    def english_text(self) -> str:
        return self.message.english if self.message else self.note
