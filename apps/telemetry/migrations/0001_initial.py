import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.core import clock
from apps.telemetry import partitions
from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable, isolate_table_sql


def create_samples(apps, schema_editor):
    schema_editor.execute(
        "CREATE TABLE telemetry_sample ("
        " tenant_id uuid NOT NULL, series_id bigint NOT NULL, ts timestamptz NOT NULL,"
        " value double precision NOT NULL, PRIMARY KEY (tenant_id, series_id, ts)"
        ") PARTITION BY RANGE (ts)"
    )
    for statement in isolate_table_sql("telemetry_sample", "SELECT, INSERT, UPDATE"):
        schema_editor.execute(statement)
    schema_editor.execute(f"CREATE SCHEMA {partitions.SCHEMA}")
    with schema_editor.connection.cursor() as cursor:
        partitions.ensure(cursor, clock.now().date())


def drop_samples(apps, schema_editor):
    schema_editor.execute("DROP TABLE telemetry_sample")
    schema_editor.execute(f"DROP SCHEMA {partitions.SCHEMA}")


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Series",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("entity_type", models.CharField(max_length=20)),
                ("entity_id", models.UUIDField()),
                ("metric", models.CharField(max_length=80)),
                ("labels", models.CharField(blank=True, default="", max_length=1024)),
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
        ),
        migrations.CreateModel(
            name="TextChange",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("ts", models.DateTimeField()),
                ("text", models.CharField(max_length=2000)),
                (
                    "series",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changes",
                        to="telemetry.series",
                    ),
                ),
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
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("event_id", models.UUIDField()),
                ("ts", models.DateTimeField()),
                ("event_type", models.CharField(max_length=60)),
                ("severity", models.CharField(max_length=10)),
                ("entity_type", models.CharField(max_length=20)),
                ("entity_id", models.UUIDField()),
                ("payload", models.JSONField()),
                ("raw", models.TextField(blank=True, default="")),
                ("received_at", models.DateTimeField()),
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
                        fields=["tenant", "entity_id", "-ts"], name="telemetry_event_entity_idx"
                    ),
                    models.Index(fields=["tenant", "-ts"], name="telemetry_event_ts_idx"),
                    models.Index(
                        fields=["tenant", "event_type", "-ts"], name="telemetry_event_type_idx"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "event_id", "ts"), name="telemetry_event_id_uniq"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("severity__in", ["info", "warn", "critical"])),
                        name="telemetry_event_severity_ck",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Latest",
            fields=[
                (
                    "series",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="latest",
                        serialize=False,
                        to="telemetry.series",
                    ),
                ),
                ("ts", models.DateTimeField()),
                ("value", models.FloatField(blank=True, null=True)),
                ("text", models.CharField(blank=True, max_length=2000, null=True)),
                ("is_late", models.BooleanField(default=False)),
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
                "abstract": False,
            },
        ),
        migrations.AddIndex(
            model_name="series",
            index=models.Index(fields=["tenant", "entity_id"], name="telemetry_series_entity_idx"),
        ),
        migrations.AddConstraint(
            model_name="series",
            constraint=models.UniqueConstraint(
                fields=("tenant", "metric", "entity_type", "entity_id", "labels"),
                name="telemetry_series_key_uniq",
            ),
        ),
        migrations.AddConstraint(
            model_name="textchange",
            constraint=models.UniqueConstraint(
                fields=("tenant", "series", "ts"), name="telemetry_textchange_ts_uniq"
            ),
        ),
        IsolateTenantTable("Series", "SELECT, INSERT"),
        IsolateTenantTable("Latest", "SELECT, INSERT, UPDATE"),
        IsolateTenantTable("TextChange", "SELECT, INSERT, UPDATE"),
        IsolateTenantTable("Event", "SELECT, INSERT"),
        CompositeForeignKey("Latest", "series"),
        CompositeForeignKey("TextChange", "series"),
        migrations.RunPython(create_samples, drop_samples),
    ]
