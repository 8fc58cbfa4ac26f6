import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


INSTALLATION = """
INSERT INTO events_installation (id, epoch, fingerprint) VALUES (1, 0,
    (SELECT system_identifier::text FROM pg_control_system())
    || ':' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
    || ':' || (SELECT oid::text FROM pg_database WHERE datname = current_database()))
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE events_outbox_position; GRANT USAGE ON SEQUENCE events_outbox_position TO ispvm_app",
            "DROP SEQUENCE events_outbox_position",
        ),
        migrations.CreateModel(
            name="Installation",
            fields=[
                (
                    "id",
                    models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False),
                ),
                ("epoch", models.BigIntegerField(default=0)),
                ("fingerprint", models.CharField(max_length=60)),
            ],
        ),
        migrations.CreateModel(
            name="RunningProcess",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.CharField(max_length=60)),
                ("host", models.CharField(max_length=255)),
                ("pid", models.PositiveIntegerField()),
                ("started_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("facts", models.JSONField(default=dict)),
            ],
            options={
                "db_table": "events_process",
            },
        ),
        migrations.CreateModel(
            name="Due",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.CharField(max_length=60)),
                ("ref", models.CharField(blank=True, default="", max_length=100)),
                ("tenant_id", models.UUIDField()),
                ("next_due_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["next_due_at"], name="events_due_next_idx")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "ref", "tenant_id"), name="events_due_ref_uniq"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="OutboxEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("topic", models.CharField(max_length=100)),
                ("key", models.CharField(max_length=100)),
                ("payload", models.JSONField()),
                ("created_at", models.DateTimeField()),
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
            name="OutboxDelivery",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("subscriber", models.CharField(max_length=100)),
                ("key", models.CharField(max_length=100)),
                ("position", models.BigIntegerField()),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField()),
                ("done_at", models.DateTimeField(blank=True, null=True)),
                ("last_error", models.CharField(blank=True, default="", max_length=500)),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
                (
                    "event",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="events.outboxevent",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="outboxevent",
            index=models.Index(fields=["tenant", "created_at"], name="events_outboxevent_age_idx"),
        ),
        migrations.AddIndex(
            model_name="outboxdelivery",
            index=models.Index(
                condition=models.Q(("done_at__isnull", True)),
                fields=["tenant", "subscriber", "key", "position"],
                name="events_outboxdelivery_open_idx",
            ),
        ),
        migrations.AddConstraint(
            model_name="outboxdelivery",
            constraint=models.UniqueConstraint(
                fields=("tenant", "event", "subscriber"), name="events_outboxdelivery_event_uniq"
            ),
        ),
        IsolateTenantTable("OutboxEvent"),
        IsolateTenantTable("OutboxDelivery"),
        CompositeForeignKey("OutboxDelivery", "event"),
        migrations.RunSQL(INSTALLATION, migrations.RunSQL.noop),
    ]
