import django.db.models.deletion
import django.db.models.fields.json
import uuid
from django.db import migrations, models

from apps.tenancy.operations import IsolateTenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="PlatformHead",
            fields=[
                (
                    "id",
                    models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False),
                ),
                ("sequence", models.BigIntegerField(default=0)),
                ("digest", models.BinaryField(max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name="PlatformRecord",
            fields=[
                ("sequence", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                ("action", models.CharField(max_length=100)),
                ("actor", models.JSONField()),
                ("entity_type", models.CharField(max_length=60)),
                ("entity_id", models.CharField(max_length=100)),
                ("detail", models.JSONField(default=dict)),
                ("previous", models.BinaryField(max_length=32)),
                ("digest", models.BinaryField(max_length=32)),
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("sequence",), name="audit_platformrecord_sequence_uniq"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Head",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("sequence", models.BigIntegerField(default=0)),
                ("digest", models.BinaryField(max_length=32)),
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
                    models.UniqueConstraint(fields=("tenant",), name="audit_head_tenant_uniq")
                ],
            },
        ),
        migrations.CreateModel(
            name="Record",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("sequence", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                ("action", models.CharField(max_length=100)),
                ("actor", models.JSONField()),
                ("entity_type", models.CharField(max_length=60)),
                ("entity_id", models.CharField(max_length=100)),
                ("detail", models.JSONField(default=dict)),
                ("previous", models.BinaryField(max_length=32)),
                ("digest", models.BinaryField(max_length=32)),
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
                "indexes": [
                    models.Index(
                        fields=["tenant", "entity_type", "entity_id", "sequence"],
                        name="audit_record_entity_idx",
                    ),
                    models.Index(
                        models.F("tenant"),
                        django.db.models.fields.json.KeyTextTransform("access_session", "actor"),
                        models.F("sequence"),
                        condition=models.Q(("actor__has_key", "access_session")),
                        name="audit_record_session_idx",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "sequence"), name="audit_record_sequence_uniq"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Verification",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("position", models.BigIntegerField(default=0)),
                ("position_digest", models.BinaryField(max_length=32)),
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
                        condition=models.Q(
                            models.Q(("fault", ""), ("first_bad", None)),
                            models.Q(
                                (
                                    "fault__in",
                                    [
                                        "changed",
                                        "missing",
                                        "unlinked",
                                        "cut",
                                        "head_differs",
                                        "beyond_head",
                                    ],
                                ),
                                ("first_bad__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="audit_verification_fault_ck",
                    ),
                ],
            },
        ),
        IsolateTenantTable("Record", "SELECT, INSERT"),
        IsolateTenantTable("Head", "SELECT, INSERT, UPDATE"),
        IsolateTenantTable("Verification", "SELECT, INSERT, UPDATE"),
    ]
