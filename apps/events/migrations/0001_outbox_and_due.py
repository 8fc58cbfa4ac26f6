import uuid

import django.db.models.deletion
from django.db import migrations, models

import apps.tenancy.fields
from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    initial = True
    dependencies = [("tenancy", "0001_tenant")]

    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE events_outbox_position; GRANT USAGE ON SEQUENCE events_outbox_position TO ispvm_app",
            "DROP SEQUENCE events_outbox_position",
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
            options={"abstract": False},
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
                    "event",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="events.outboxevent",
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
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("done_at__isnull", True)),
                        fields=["tenant", "subscriber", "key", "position"],
                        name="events_outboxdelivery_open_idx",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "event", "subscriber"),
                        name="events_outboxdelivery_event_uniq",
                    )
                ],
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
        IsolateTenantTable("OutboxEvent"),
        IsolateTenantTable("OutboxDelivery"),
        CompositeForeignKey("OutboxDelivery", "event"),
    ]
