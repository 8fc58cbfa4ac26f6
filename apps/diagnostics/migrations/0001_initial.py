import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("agents", "0001_initial"),
        ("vault", "0001_initial"),
        ("inventory", "0001_initial"),
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ConnectionTest",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "destination",
                    models.CharField(blank=True, db_default="", default="", max_length=64),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting for the agent"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("expired", "The agent did not respond in time"),
                        ],
                        default="waiting",
                        max_length=20,
                    ),
                ),
                ("requested_by", models.JSONField()),
                ("requested_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("ok", "Login succeeded"),
                            ("wrong_credentials", "Login failed: wrong user name or password"),
                            ("unreachable", "No route to the router"),
                            (
                                "refused",
                                "Connection refused: the API service is disabled or uses another port",
                            ),
                            ("tls_failed", "TLS handshake failed"),
                            ("timeout", "Connection timed out"),
                            (
                                "api_disabled",
                                "The router closed the session: the API is not allowed from the agent's address",
                            ),
                            ("no_credentials", "No credentials that the agent can decrypt"),
                        ],
                        default="",
                        max_length=30,
                    ),
                ),
                ("accepted_credential_set", models.UUIDField(blank=True, null=True)),
                ("identity", models.CharField(blank=True, default="", max_length=200)),
                ("version", models.CharField(blank=True, default="", max_length=100)),
                ("board_name", models.CharField(blank=True, default="", max_length=100)),
                ("latency_ms", models.FloatField(blank=True, null=True)),
                ("detail", models.CharField(blank=True, default="", max_length=300)),
                (
                    "agent",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="connection_tests",
                        to="agents.agent",
                    ),
                ),
                (
                    "credential_set",
                    apps.tenancy.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="vault.credentialset",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="connectiontest",
            name="device",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="connection_tests",
                to="inventory.device",
            ),
        ),
        migrations.AddField(
            model_name="connectiontest",
            name="tenant",
            field=models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
        migrations.AddIndex(
            model_name="connectiontest",
            index=models.Index(
                condition=models.Q(("state", "waiting")),
                fields=["tenant", "agent", "requested_at"],
                name="diagnostics_waiting_idx",
            ),
        ),
        migrations.AddIndex(
            model_name="connectiontest",
            index=models.Index(
                fields=["tenant", "device", "requested_at"], name="diagnostics_device_idx"
            ),
        ),
        migrations.AddConstraint(
            model_name="connectiontest",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["waiting", "running", "done", "expired"])),
                name="diagnostics_test_state_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="connectiontest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "outcome__in",
                        [
                            "",
                            "ok",
                            "wrong_credentials",
                            "unreachable",
                            "refused",
                            "tls_failed",
                            "timeout",
                            "api_disabled",
                            "no_credentials",
                        ],
                    )
                ),
                name="diagnostics_test_outcome_ck",
            ),
        ),
        IsolateTenantTable("ConnectionTest"),
        CompositeForeignKey("ConnectionTest", "device"),
        CompositeForeignKey("ConnectionTest", "agent"),
        CompositeForeignKey("ConnectionTest", "credential_set"),
    ]
