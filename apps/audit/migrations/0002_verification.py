import uuid

import django.db.models.deletion
from django.db import migrations, models

from apps.tenancy.operations import IsolateTenantTable

# Tenants that have acted before this release; later ones are scheduled with their first act.
SCHEDULE = """
INSERT INTO events_due (id, kind, ref, tenant_id, next_due_at)
SELECT gen_random_uuid(), 'audit.verify', '', id, now() FROM tenancy_tenant
ON CONFLICT DO NOTHING
"""
UNSCHEDULE = "DELETE FROM events_due WHERE kind = 'audit.verify'"
FAULTS = ["changed", "missing", "unlinked", "cut", "head_differs", "beyond_head"]


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_initial"),
        ("events", "0001_outbox_and_due"),
        ("tenancy", "0001_tenant"),
    ]

    operations = [
        migrations.CreateModel(
            name="Verification",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("reached", models.BigIntegerField(default=0)),
                ("reached_digest", models.BinaryField(max_length=32)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("verified_to", models.BigIntegerField(default=0)),
                ("first_bad", models.BigIntegerField(blank=True, null=True)),
                ("fault", models.CharField(blank=True, max_length=16)),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant",), name="audit_verification_tenant_uniq"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("fault", ""), ("first_bad", None))
                        | models.Q(("fault__in", FAULTS), ("first_bad__isnull", False)),
                        name="audit_verification_fault_ck",
                    ),
                ],
            },
        ),
        IsolateTenantTable("Verification", "SELECT, INSERT, UPDATE"),
        migrations.RunSQL(SCHEDULE, UNSCHEDULE),
    ]
