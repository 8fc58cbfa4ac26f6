import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Endpoint",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("url", models.CharField(max_length=2048)),
                ("event_types", models.JSONField(blank=True, default=list)),
                (
                    "severity_floor",
                    models.CharField(
                        choices=[
                            ("info", "Info and above"),
                            ("warn", "Warning and above"),
                            ("critical", "Critical only"),
                        ],
                        default="info",
                        max_length=20,
                    ),
                ),
                ("hides_tenant_name", models.BooleanField(default=False)),
                ("hides_people", models.BooleanField(default=False)),
                ("hides_evidence", models.BooleanField(default=False)),
                ("is_thin", models.BooleanField(default=False)),
                ("ca_pem", models.TextField(blank=True, default="")),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
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
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
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
                    "endpoint",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="webhooks.endpoint",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
            },
        ),
        migrations.CreateModel(
            name="Secret",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "stage",
                    models.CharField(
                        choices=[
                            ("staged", "Staged (signs in addition to the current secret)"),
                            ("current", "Current"),
                            ("retiring", "Retiring (signs until its grace period ends)"),
                        ],
                        max_length=20,
                    ),
                ),
                ("sealed", models.BinaryField()),
                ("created_at", models.DateTimeField()),
                ("retire_at", models.DateTimeField(blank=True, null=True)),
                (
                    "endpoint",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="secrets",
                        to="webhooks.endpoint",
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
            name="Attempt",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
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
                ("retry_after_seconds", models.PositiveIntegerField(blank=True, null=True)),
                ("certificate_sha256", models.CharField(blank=True, default="", max_length=64)),
                ("body_sha256", models.CharField(max_length=64)),
                ("response_head", models.CharField(blank=True, default="", max_length=1024)),
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
                        to="webhooks.delivery",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "delivery", "number"), name="webhooks_attempt_number_uniq"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "outcome__in",
                                ["sending", "delivered", "rejected", "failed", "interrupted"],
                            )
                        ),
                        name="webhooks_attempt_outcome_ck",
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="endpoint",
            constraint=models.UniqueConstraint(
                condition=models.Q(("deleted_at__isnull", True)),
                fields=("tenant", "name"),
                name="webhooks_endpoint_name_uniq",
            ),
        ),
        migrations.AddConstraint(
            model_name="endpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("severity_floor__in", ["info", "warn", "critical"])),
                name="webhooks_endpoint_floor_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="endpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("pause_reason__in", ["", "operator", "gone", "failing"])),
                name="webhooks_endpoint_pause_ck",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["tenant", "endpoint", "next_attempt_at"],
                name="webhooks_delivery_due_idx",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "leased")),
                fields=["tenant", "endpoint", "leased_until"],
                name="webhooks_delivery_leased_idx",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["tenant", "-created_at"], name="webhooks_delivery_recent_idx"
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["tenant", "incident_id"], name="webhooks_delivery_incident_idx"
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(
                fields=("tenant", "endpoint", "event_id"), name="webhooks_delivery_event_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
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
                name="webhooks_delivery_type_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "dead_reason__in",
                        ["", "exhausted", "endpoint_paused", "endpoint_deleted", "test_failed"],
                    )
                ),
                name="webhooks_delivery_reason_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
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
                name="webhooks_delivery_state_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="secret",
            constraint=models.UniqueConstraint(
                fields=("tenant", "endpoint", "stage"), name="webhooks_secret_stage_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="secret",
            constraint=models.CheckConstraint(
                condition=models.Q(("stage__in", ["staged", "current", "retiring"])),
                name="webhooks_secret_stage_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="secret",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("retire_at__isnull", False), ("stage", "retiring")),
                    models.Q(
                        models.Q(("stage", "retiring"), _negated=True), ("retire_at__isnull", True)
                    ),
                    _connector="OR",
                ),
                name="webhooks_secret_retire_ck",
            ),
        ),
        IsolateTenantTable("Endpoint", "SELECT, INSERT, UPDATE"),
        IsolateTenantTable("Secret"),
        IsolateTenantTable("Delivery"),
        IsolateTenantTable("Attempt"),
        CompositeForeignKey("Secret", "endpoint"),
        CompositeForeignKey("Delivery", "endpoint", "RESTRICT"),
        CompositeForeignKey("Attempt", "delivery"),
    ]
