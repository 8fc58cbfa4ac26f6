"""Streams of batches, uptime and batch receipts of ingest."""

from django.db import models

from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class Stream(TenantModel):
    """The batches of one boot of one agent: the watermark of accepted sequences, and what was lost."""

    agent = TenantForeignKey("agents.Agent", on_delete=models.CASCADE, related_name="streams")
    boot_id = models.UUIDField()
    high = models.BigIntegerField(default=0)
    ahead = models.JSONField(default=list)
    samples_dropped = models.BigIntegerField(default=0)
    sequences_skipped = models.BigIntegerField(default=0)
    last_batch_at = models.DateTimeField(null=True, blank=True)
    # What the times of its last batch were corrected by: the agent's clock minus the server's. Null: no batch yet.
    clock_skew_seconds = models.FloatField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "agent", "boot_id"], name="ingest_stream_boot_uniq"
            )
        ]


class Uptime(models.Model):
    """Since when, and until when at least, ingest has been up without a gap. One row.

    Global: the same processes serve all tenants' agents. By the database's clock.
    """

    id = models.SmallIntegerField(primary_key=True)
    since = models.DateTimeField()
    until = models.DateTimeField()


class BatchReceipt(TenantModel):
    """The hash of an accepted batch, kept as long as its samples, to detect other content under the same id."""

    stream = TenantForeignKey(Stream, on_delete=models.CASCADE, related_name="receipts")
    batch_id = models.UUIDField()
    sequence = models.BigIntegerField()
    digest = models.BinaryField(max_length=32)
    received_at = models.DateTimeField()
    metrics = models.PositiveIntegerField()
    events = models.PositiveIntegerField()
    rejected = models.PositiveIntegerField()
    # The agent's clock minus the server's, as subtracted from the times of its items; 0: stored as sent.
    clock_skew_seconds = models.FloatField(default=0.0, db_default=0.0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "batch_id"], name="ingest_batchreceipt_id_uniq"
            ),
            models.UniqueConstraint(
                fields=["tenant", "stream", "sequence"], name="ingest_batchreceipt_sequence_uniq"
            ),
        ]
        # Deleted by age, tenant by tenant (see apps.py).
        indexes = [
            models.Index(fields=["tenant", "received_at"], name="ingest_batchreceipt_age_idx")
        ]
