import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("inventory", "0001_inventory"),
        ("tenancy", "0001_tenant"),
    ]

    operations = [
        migrations.CreateModel(
            name="Agent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("source_address", models.GenericIPAddressField(blank=True, null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Waiting for enrollment"),
                            ("active", "Active"),
                            ("revoked", "Revoked"),
                        ],
                        default="pending",
                        max_length=20,
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("enrolled_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("version", models.CharField(blank=True, default="", max_length=50)),
                ("hostname", models.CharField(blank=True, default="", max_length=253)),
                ("capabilities", models.JSONField(blank=True, default=list)),
                ("boot_id", models.UUIDField(blank=True, null=True)),
                ("last_heartbeat_at", models.DateTimeField(blank=True, null=True)),
                ("health", models.JSONField(blank=True, default=dict)),
                ("sealing_public_key", models.BinaryField(blank=True, max_length=32, null=True)),
                ("leased_config_version", models.CharField(blank=True, default="", max_length=64)),
                (
                    "attached_device",
                    apps.tenancy.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="attached_agents",
                        to="inventory.device",
                    ),
                ),
                (
                    "site",
                    apps.tenancy.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="agents",
                        to="inventory.site",
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
            name="AgentCertificate",
            fields=[
                ("serial", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("fingerprint", models.BinaryField(max_length=32)),
                ("agent_id", models.UUIDField()),
                ("not_before", models.DateTimeField()),
                ("not_after", models.DateTimeField()),
                ("issued_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
            ],
            options={
                "db_table": "agents_certificate",
            },
        ),
        migrations.CreateModel(
            name="AgentDevice",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "agent",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="device_assignments",
                        to="agents.agent",
                    ),
                ),
                (
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="agent_assignments",
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
        ),
        migrations.CreateModel(
            name="AgentSite",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "agent",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="site_assignments",
                        to="agents.agent",
                    ),
                ),
                (
                    "site",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="agent_assignments",
                        to="inventory.site",
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
            name="EnrollmentToken",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("digest", models.BinaryField(max_length=32)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "agent",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="enrollment_tokens",
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
        migrations.AddConstraint(
            model_name="agent",
            constraint=models.UniqueConstraint(
                fields=("tenant", "name"), name="agents_agent_name_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="agent",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["pending", "active", "revoked"])),
                name="agents_agent_status_ck",
            ),
        ),
        migrations.AddIndex(
            model_name="agentcertificate",
            index=models.Index(fields=["tenant", "agent_id"], name="agents_certificate_agent_idx"),
        ),
        migrations.AddIndex(
            model_name="agentdevice",
            index=models.Index(fields=["tenant", "device"], name="agents_agentdevice_device_idx"),
        ),
        migrations.AddConstraint(
            model_name="agentdevice",
            constraint=models.UniqueConstraint(
                fields=("tenant", "agent", "device"), name="agents_agentdevice_pair_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="agentsite",
            constraint=models.UniqueConstraint(
                fields=("tenant", "agent", "site"), name="agents_agentsite_pair_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="enrollmenttoken",
            constraint=models.UniqueConstraint(
                fields=("tenant", "digest"), name="agents_enrollmenttoken_digest_uniq"
            ),
        ),
        IsolateTenantTable("Agent"),
        IsolateTenantTable("EnrollmentToken"),
        IsolateTenantTable("AgentDevice"),
        IsolateTenantTable("AgentSite"),
        CompositeForeignKey("Agent", "site", "SET NULL (site_id)"),
        CompositeForeignKey("Agent", "attached_device", "SET NULL (attached_device_id)"),
        CompositeForeignKey("EnrollmentToken", "agent"),
        CompositeForeignKey("AgentDevice", "agent"),
        CompositeForeignKey("AgentDevice", "device"),
        CompositeForeignKey("AgentSite", "agent"),
        CompositeForeignKey("AgentSite", "site"),
    ]
