import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("agents", "0001_initial"),
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Uptime",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Stream",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("boot_id", models.UUIDField()),
                ("high", models.BigIntegerField(default=0)),
                ("ahead", models.JSONField(default=list)),
                ("samples_dropped", models.BigIntegerField(default=0)),
                ("sequences_skipped", models.BigIntegerField(default=0)),
                ("last_batch_at", models.DateTimeField(blank=True, null=True)),
                (
                    "agent",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="streams",
                        to="agents.agent",
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
            name="BatchReceipt",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("batch_id", models.UUIDField()),
                ("sequence", models.BigIntegerField()),
                ("digest", models.BinaryField(max_length=32)),
                ("received_at", models.DateTimeField()),
                ("metrics", models.PositiveIntegerField()),
                ("events", models.PositiveIntegerField()),
                ("rejected", models.PositiveIntegerField()),
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
                    "stream",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="receipts",
                        to="ingest.stream",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="stream",
            constraint=models.UniqueConstraint(
                fields=("tenant", "agent", "boot_id"), name="ingest_stream_boot_uniq"
            ),
        ),
        migrations.AddIndex(
            model_name="batchreceipt",
            index=models.Index(
                fields=["tenant", "received_at"], name="ingest_batchreceipt_age_idx"
            ),
        ),
        migrations.AddConstraint(
            model_name="batchreceipt",
            constraint=models.UniqueConstraint(
                fields=("tenant", "batch_id"), name="ingest_batchreceipt_id_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="batchreceipt",
            constraint=models.UniqueConstraint(
                fields=("tenant", "stream", "sequence"), name="ingest_batchreceipt_sequence_uniq"
            ),
        ),
        IsolateTenantTable("Stream", "SELECT, INSERT, UPDATE"),
        IsolateTenantTable("BatchReceipt", "SELECT, INSERT"),
        CompositeForeignKey("Stream", "agent"),
        CompositeForeignKey("BatchReceipt", "stream"),
    ]
