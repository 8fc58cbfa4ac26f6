"""Tables of durable work."""

import uuid

from django.db import models
from django.db.models import Q

from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class OutboxEvent(TenantModel):
    """An event, written in the same transaction as the change it is about."""

    topic = models.CharField(max_length=100)
    # Events of one (topic prefix, key) are handled in the order of ``position``.
    key = models.CharField(max_length=100)
    payload = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["tenant", "created_at"], name="events_outboxevent_age_idx")]


class OutboxDelivery(TenantModel):
    """One event for one subscriber; ``done_at`` is set in the handler's transaction."""

    event = TenantForeignKey(OutboxEvent, on_delete=models.CASCADE, related_name="deliveries")
    subscriber = models.CharField(max_length=100)
    key = models.CharField(max_length=100)
    position = models.BigIntegerField()
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "event", "subscriber"], name="events_outboxdelivery_event_uniq"
            )
        ]
        indexes = [
            models.Index(
                fields=["tenant", "subscriber", "key", "position"],
                condition=Q(done_at__isnull=True),
                name="events_outboxdelivery_open_idx",
            )
        ]


class Due(models.Model):
    """When something is due for a tenant. Global and without payload: dispatchers read it first,
    then act inside the tenant."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=60)
    ref = models.CharField(max_length=100, blank=True, default="")
    tenant_id = models.UUIDField()
    next_due_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "ref", "tenant_id"], name="events_due_ref_uniq")
        ]
        indexes = [models.Index(fields=["next_due_at"], name="events_due_next_idx")]


class Installation(models.Model):
    """One row: the epoch of this database (``apps.events.installation``). Only the owner's role writes it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    epoch = models.BigIntegerField(default=0)
    # Identifies the database at the beginning of the epoch.
    fingerprint = models.CharField(max_length=60)


class RunningProcess(models.Model):
    """A process of the platform, with a heartbeat every few seconds. Global, without secrets.

    It deletes its row when it ends; the row of a killed process expires (``processes.OFFLINE_AFTER``).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=60)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    # By the database's clock.
    seen_at = models.DateTimeField()
    # Published by apps, by name: ids of loaded keys, free space of volumes.
    facts = models.JSONField(default=dict)

    class Meta:
        db_table = "events_process"

    def __str__(self) -> str:
        return f"{self.kind} on {self.host} (pid {self.pid})"
