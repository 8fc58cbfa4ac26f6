"""Series, latest values, text changes and events. Samples are in a partitioned table without a model: see `store`."""

from django.db import models

from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class Series(TenantModel):
    """One metric of one entity: sample rows refer to it by number."""

    id = models.BigAutoField(primary_key=True)  # type: ignore[assignment]  # a number, because it is in every sample row
    entity_type = models.CharField(max_length=20)
    entity_id = models.UUIDField()
    metric = models.CharField(max_length=80)
    # Canonical `name=value` pair of a metric that has a dimension; empty for nearly all.
    labels = models.CharField(max_length=1024, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "metric", "entity_type", "entity_id", "labels"],
                name="telemetry_series_key_uniq",
            )
        ]
        indexes = [models.Index(fields=["tenant", "entity_id"], name="telemetry_series_entity_idx")]


class Latest(TenantModel):
    """The newest value of a series, in whichever order samples arrive."""

    id = None  # type: ignore[assignment]  # the series is the key
    series = models.OneToOneField(
        Series,
        on_delete=models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name="latest",
    )
    ts = models.DateTimeField()
    value = models.FloatField(null=True, blank=True)
    text = models.CharField(max_length=2000, null=True, blank=True)  # noqa: DJ001  (a number has none)
    # It was buffered on its agent: newer samples are still to come.
    is_late = models.BooleanField(default=False)


class TextChange(TenantModel):
    """A text value from its first sample on; unchanged samples add no row."""

    series = TenantForeignKey(Series, on_delete=models.CASCADE, related_name="changes")
    ts = models.DateTimeField()
    text = models.CharField(max_length=2000)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "series", "ts"], name="telemetry_textchange_ts_uniq"
            )
        ]


class Event(TenantModel):
    """An event from an agent or a router's log, once per (event id, ts)."""

    event_id = models.UUIDField()
    ts = models.DateTimeField()
    event_type = models.CharField(max_length=60)
    severity = models.CharField(max_length=10)
    entity_type = models.CharField(max_length=20)
    entity_id = models.UUIDField()
    payload = models.JSONField()
    raw = models.TextField(blank=True, default="")
    received_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "event_id", "ts"], name="telemetry_event_id_uniq"
            ),
            models.CheckConstraint(
                condition=models.Q(severity__in=["info", "warn", "critical"]),
                name="telemetry_event_severity_ck",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "entity_id", "-ts"], name="telemetry_event_entity_idx"),
            models.Index(fields=["tenant", "-ts"], name="telemetry_event_ts_idx"),
            models.Index(fields=["tenant", "event_type", "-ts"], name="telemetry_event_type_idx"),
        ]
