"""The audit tables. The app role may only INSERT and SELECT."""

from django.db import models
from django.db.models.fields.json import KT

from apps.audit.chain import Fault
from apps.tenancy.models import TenantModel


class Entry(models.Model):
    """The fields of every audit record."""

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
    """One action inside a tenant."""

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
            # Actions of platform operators in access sessions: few rows of a long log.
            models.Index(
                "tenant",
                KT("actor__access_session"),
                "sequence",
                name="audit_record_session_idx",
                condition=models.Q(actor__has_key="access_session"),
            ),
        ]


class Head(TenantModel):
    """The head of a tenant's chain; its row lock serializes writers and is taken last."""

    sequence = models.BigIntegerField(default=0)
    digest = models.BinaryField(max_length=32)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant"], name="audit_head_tenant_uniq")]


class Verification(TenantModel):
    """The result of the background verification of a tenant's chain.

    No protection against somebody who can write to the database: heads saved elsewhere are.
    """

    # Progress of the running pass; 0 if none is running.
    position = models.BigIntegerField(default=0)
    position_digest = models.BinaryField(max_length=32)
    # The last completed pass.
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
    """One action outside any tenant: a failed sign-in, a created tenant."""

    id = models.BigAutoField(primary_key=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sequence"], name="audit_platformrecord_sequence_uniq")
        ]


class PlatformHead(models.Model):
    """The head of the platform's chain: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    sequence = models.BigIntegerField(default=0)
    digest = models.BinaryField(max_length=32)
