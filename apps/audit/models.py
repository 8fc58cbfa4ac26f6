"""The audit tables. The app role may only add and read; nobody edits."""

from django.db import models
from django.db.models.fields.json import KT

from apps.audit.chain import Fault
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
            ),
            # What was done in visits of platform operators: few rows of a long log.
            models.Index(
                "tenant",
                KT("actor__visit"),
                "sequence",
                name="audit_record_visit_idx",
                condition=models.Q(actor__has_key="visit"),
            ),
        ]


class Head(TenantModel):
    """The end of a tenant's chain; its row lock is what serialises writers, taken last."""

    sequence = models.BigIntegerField(default=0)
    digest = models.BinaryField(max_length=32)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant"], name="audit_head_tenant_uniq")]


class Verification(TenantModel):
    """What the background verification of a tenant's chain has found.

    No evidence against somebody who can write to the database: heads that are kept elsewhere are.
    """

    # How far the pass under way has come; 0 while there is none.
    reached = models.BigIntegerField(default=0)
    reached_digest = models.BinaryField(max_length=32)
    # The last pass that came to an end.
    finished_at = models.DateTimeField(null=True, blank=True)
    verified_to = models.BigIntegerField(default=0)
    first_bad = models.BigIntegerField(null=True, blank=True)
    fault = models.CharField(max_length=16, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant"], name="audit_verification_tenant_uniq"),
            models.CheckConstraint(
                condition=models.Q(fault="", first_bad=None)
                | models.Q(fault__in=[str(fault) for fault in Fault], first_bad__isnull=False),
                name="audit_verification_fault_ck",
            ),
        ]


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
