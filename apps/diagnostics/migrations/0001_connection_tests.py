import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("agents", "0002_agent_probing"),
        ("inventory", "0003_device_credentials"),
        ("tenancy", "0001_tenant"),
        ("vault", "0003_credential_kinds"),
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
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting for the agent"),
                            ("running", "The agent is trying"),
                            ("done", "Done"),
                            ("expired", "The agent did not answer in time"),
                        ],
                        default="waiting",
                        max_length=20,
                    ),
                ),
                ("requested_by", models.JSONField()),
                ("requested_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("taken_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("ok", "The login works"),
                            ("wrong_credentials", "The router refuses the login"),
                            ("unreachable", "There is no way to the router"),
                            (
                                "refused",
                                "The port is closed: the API service is off, or has another port",
                            ),
                            ("tls_failed", "No TLS could be agreed on"),
                            ("timeout", "The router does not answer in time"),
                            (
                                "api_disabled",
                                "The router ends the session: the API is not open to the agent",
                            ),
                            ("no_credentials", "There is no login that the agent can open"),
                        ],
                        default="",
                        max_length=30,
                    ),
                ),
                ("worked", models.UUIDField(blank=True, null=True)),
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
                (
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="connection_tests",
                        to="inventory.device",
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
                        condition=models.Q(("state", "waiting")),
                        fields=["tenant", "agent", "requested_at"],
                        name="diagnostics_waiting_idx",
                    ),
                    models.Index(
                        fields=["tenant", "device", "requested_at"], name="diagnostics_device_idx"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["waiting", "running", "done", "expired"])
                        ),
                        name="diagnostics_test_state_ck",
                    ),
                    models.CheckConstraint(
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
                ],
            },
        ),
        IsolateTenantTable("ConnectionTest"),
        CompositeForeignKey("ConnectionTest", "device"),
        CompositeForeignKey("ConnectionTest", "agent"),
        CompositeForeignKey("ConnectionTest", "credential_set"),
    ]
