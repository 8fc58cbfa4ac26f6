"""The audit tables. The app role may only add and read; nobody edits."""

from django.db import models

from apps.tenancy.models import TenantModel


class Entry(models.Model):
    """What every audit record says."""

    sequence = models.BigIntegerField()
    at = models.DateTimeField()
    action = models.CharField(max_length=100)
    # {kind: user|token|agent|system, id, label}
    actor = models.JSONField()
    entity_type = models.CharField(max_length=60)
    entity_id = models.CharField(max_length=100)
    detail = models.JSONField(default=dict)
    previous = models.BinaryField(max_length=32)
    digest = models.BinaryField(max_length=32)

    class Meta:
        abstract = True


class Record(TenantModel, Entry):
    """One act inside a tenant."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "sequence"], name="audit_record_sequence_uniq"
            )
        ]
        indexes = [
            models.Index(
                fields=["tenant", "entity_type", "entity_id", "sequence"],
                name="audit_record_entity_idx",
            )
        ]


class Head(TenantModel):
    """The end of a tenant's chain; its row lock is what serialises writers, taken last."""

    sequence = models.BigIntegerField(default=0)
    digest = models.BinaryField(max_length=32)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant"], name="audit_head_tenant_uniq")]


class PlatformRecord(Entry):
    """One act outside any tenant: a failed sign-in, a tenant made."""

    id = models.BigAutoField(primary_key=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sequence"], name="audit_platformrecord_sequence_uniq")
        ]


class PlatformHead(models.Model):
    """The end of the platform's chain: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    sequence = models.BigIntegerField(default=0)
    digest = models.BinaryField(max_length=32)
