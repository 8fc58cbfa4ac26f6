"""The engine takes over the deliveries of webhooks: their tables are renamed, and each endpoint gets a destination."""

import django.db.models.deletion
import uuid
from django.db import migrations, models

import apps.tenancy.fields
from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable, exempt_owner

COPY = """
INSERT INTO delivery_destination (id, tenant_id, channel, name, deleted_at, pause_reason, paused_at,
    last_success_at, failing_since, slow_failures, backoff_until)
SELECT id, tenant_id, 'webhook', name, deleted_at, pause_reason, paused_at,
    last_success_at, failing_since, slow_failures, backoff_until
FROM webhooks_endpoint
"""

# Everything that carries the table's name: constraints with their indexes, then the other indexes.
RENAME = """
DO $$
DECLARE found record;
BEGIN
    ALTER TABLE webhooks_{name} RENAME TO delivery_{name};
    FOR found IN
        SELECT conname AS former FROM pg_constraint
        WHERE conrelid = 'delivery_{name}'::regclass AND starts_with(conname, 'webhooks_{name}_')
    LOOP
        EXECUTE format('ALTER TABLE delivery_{name} RENAME CONSTRAINT %I TO %I', found.former,
            replace(replace(found.former, 'webhooks_', 'delivery_'), '_endpoint_', '_destination_'));
    END LOOP;
    FOR found IN
        SELECT indexrelid::regclass::text AS former FROM pg_index
        WHERE indrelid = 'delivery_{name}'::regclass
            AND starts_with(indexrelid::regclass::text, 'webhooks_{name}_')
    LOOP
        EXECUTE format('ALTER INDEX %I RENAME TO %I', found.former,
            replace(replace(found.former, 'webhooks_', 'delivery_'), '_endpoint_', '_destination_'));
    END LOOP;
END $$
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_initial"),
        ("events", "0001_initial"),
        ("webhooks", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Destination",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("channel", models.CharField(max_length=20)),
                ("name", models.CharField(max_length=100)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                (
                    "pause_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("operator", "Paused by an operator"),
                            ("gone", "Receiver responded 410 Gone"),
                            ("failing", "Failing for 120 hours"),
                        ],
                        default="",
                        max_length=20,
                    ),
                ),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("last_success_at", models.DateTimeField(blank=True, null=True)),
                ("failing_since", models.DateTimeField(blank=True, null=True)),
                ("slow_failures", models.PositiveIntegerField(default=0)),
                ("backoff_until", models.DateTimeField(blank=True, null=True)),
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
                        condition=models.Q(("deleted_at__isnull", True)),
                        fields=("tenant", "channel", "name"),
                        name="delivery_destination_name_uniq",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("pause_reason__in", ["", "operator", "gone", "failing"])
                        ),
                        name="delivery_destination_pause_ck",
                    ),
                ],
            },
        ),
        migrations.RunSQL(exempt_owner("webhooks_endpoint", COPY), elidable=True),
        IsolateTenantTable("Destination", "SELECT, INSERT, UPDATE"),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE webhooks_delivery DROP CONSTRAINT webhooks_delivery_endpoint_tenant_fk"
                ),
                migrations.RunSQL(
                    "ALTER TABLE webhooks_delivery RENAME COLUMN endpoint_id TO destination_id"
                ),
                migrations.RunSQL(RENAME.format(name="delivery")),
                migrations.RunSQL(RENAME.format(name="attempt")),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="Delivery",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=uuid.uuid4,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("event_id", models.UUIDField()),
                        (
                            "event_type",
                            models.CharField(
                                choices=[
                                    ("incident.opened", "Incident opened"),
                                    ("incident.updated", "Incident updated"),
                                    ("incident.acked", "Incident acknowledged"),
                                    ("incident.closed", "Incident closed"),
                                    ("webhook.ping", "Test"),
                                ],
                                max_length=40,
                            ),
                        ),
                        ("incident_id", models.UUIDField(blank=True, null=True)),
                        ("epoch", models.BigIntegerField(blank=True, null=True)),
                        ("sequence", models.PositiveIntegerField(blank=True, null=True)),
                        ("body", models.BinaryField()),
                        ("body_sha256", models.CharField(max_length=64)),
                        ("hop", models.PositiveSmallIntegerField(default=0)),
                        ("created_at", models.DateTimeField()),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("pending", "Pending"),
                                    ("leased", "Sending"),
                                    ("delivered", "Delivered"),
                                    ("dead", "Failed (dead letter)"),
                                ],
                                default="pending",
                                max_length=20,
                            ),
                        ),
                        ("next_attempt_at", models.DateTimeField(blank=True, null=True)),
                        ("attempt_count", models.PositiveIntegerField(default=0)),
                        ("failure_count", models.PositiveIntegerField(default=0)),
                        ("lease_token", models.UUIDField(blank=True, null=True)),
                        ("leased_until", models.DateTimeField(blank=True, null=True)),
                        ("delivered_at", models.DateTimeField(blank=True, null=True)),
                        ("dead_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "dead_reason",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("exhausted", "Retries exhausted"),
                                    ("endpoint_paused", "Endpoint paused by the platform"),
                                    ("endpoint_deleted", "Endpoint deleted"),
                                    ("test_failed", "Test failed (tests are not retried)"),
                                ],
                                default="",
                                max_length=30,
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
                        (
                            "destination",
                            apps.tenancy.fields.TenantForeignKey(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="deliveries",
                                to="delivery.destination",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "delivery",
                        "verbose_name_plural": "deliveries",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("tenant", "destination", "event_id"),
                                name="delivery_delivery_event_uniq",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "event_type__in",
                                        [
                                            "incident.opened",
                                            "incident.updated",
                                            "incident.acked",
                                            "incident.closed",
                                            "webhook.ping",
                                        ],
                                    )
                                ),
                                name="delivery_delivery_type_ck",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "dead_reason__in",
                                        [
                                            "",
                                            "exhausted",
                                            "endpoint_paused",
                                            "endpoint_deleted",
                                            "test_failed",
                                        ],
                                    )
                                ),
                                name="delivery_delivery_reason_ck",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("lease_token__isnull", True),
                                        ("leased_until__isnull", True),
                                        ("next_attempt_at__isnull", False),
                                        ("state", "pending"),
                                    ),
                                    models.Q(
                                        ("lease_token__isnull", False),
                                        ("leased_until__isnull", False),
                                        ("state", "leased"),
                                    ),
                                    models.Q(
                                        ("delivered_at__isnull", False),
                                        ("lease_token__isnull", True),
                                        ("leased_until__isnull", True),
                                        ("state", "delivered"),
                                    ),
                                    models.Q(
                                        ("dead_at__isnull", False),
                                        ("lease_token__isnull", True),
                                        ("leased_until__isnull", True),
                                        ("state", "dead"),
                                    ),
                                    _connector="OR",
                                ),
                                name="delivery_delivery_state_ck",
                            ),
                        ],
                        "indexes": [
                            models.Index(
                                condition=models.Q(("state", "pending")),
                                fields=["tenant", "destination", "next_attempt_at"],
                                name="delivery_delivery_due_idx",
                            ),
                            models.Index(
                                condition=models.Q(("state", "leased")),
                                fields=["tenant", "destination", "leased_until"],
                                name="delivery_delivery_leased_idx",
                            ),
                            models.Index(
                                fields=["tenant", "-created_at"],
                                name="delivery_delivery_recent_idx",
                            ),
                            models.Index(
                                fields=["tenant", "incident_id"],
                                name="delivery_delivery_incident_idx",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Attempt",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=uuid.uuid4,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("number", models.PositiveIntegerField()),
                        ("started_at", models.DateTimeField()),
                        ("finished_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "outcome",
                            models.CharField(
                                choices=[
                                    ("sending", "In progress"),
                                    ("delivered", "Accepted"),
                                    ("rejected", "HTTP error response"),
                                    ("failed", "No response"),
                                    ("interrupted", "Interrupted (the sending process ended)"),
                                ],
                                default="sending",
                                max_length=20,
                            ),
                        ),
                        ("duration_ms", models.PositiveIntegerField(blank=True, null=True)),
                        ("address", models.CharField(blank=True, default="", max_length=60)),
                        ("status", models.PositiveSmallIntegerField(blank=True, null=True)),
                        ("error_code", models.CharField(blank=True, default="", max_length=60)),
                        ("error_detail", models.CharField(blank=True, default="", max_length=300)),
                        ("is_permanent", models.BooleanField(default=False)),
                        (
                            "retry_after_seconds",
                            models.PositiveIntegerField(blank=True, null=True),
                        ),
                        (
                            "certificate_sha256",
                            models.CharField(blank=True, default="", max_length=64),
                        ),
                        ("body_sha256", models.CharField(max_length=64)),
                        (
                            "response_head",
                            models.CharField(blank=True, default="", max_length=1024),
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
                        (
                            "delivery",
                            apps.tenancy.fields.TenantForeignKey(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="attempts",
                                to="delivery.delivery",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("tenant", "delivery", "number"),
                                name="delivery_attempt_number_uniq",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "outcome__in",
                                        [
                                            "sending",
                                            "delivered",
                                            "rejected",
                                            "failed",
                                            "interrupted",
                                        ],
                                    )
                                ),
                                name="delivery_attempt_outcome_ck",
                            ),
                        ],
                    },
                ),
            ],
        ),
        CompositeForeignKey("Delivery", "destination", "RESTRICT"),
        # Refused for good is new.
        migrations.AlterField(
            model_name="delivery",
            name="dead_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("exhausted", "Retries exhausted"),
                    ("refused", "Refused by the receiver for good"),
                    ("endpoint_paused", "Endpoint paused by the platform"),
                    ("endpoint_deleted", "Endpoint deleted"),
                    ("test_failed", "Test failed (tests are not retried)"),
                ],
                default="",
                max_length=30,
            ),
        ),
        migrations.RemoveConstraint(model_name="delivery", name="delivery_delivery_reason_ck"),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "dead_reason__in",
                        [
                            "",
                            "exhausted",
                            "refused",
                            "endpoint_paused",
                            "endpoint_deleted",
                            "test_failed",
                        ],
                    )
                ),
                name="delivery_delivery_reason_ck",
            ),
        ),
        migrations.RunSQL(
            "UPDATE events_due SET kind = 'delivery.deliver' WHERE kind = 'webhooks.deliver'",
            elidable=True,
        ),
    ]
