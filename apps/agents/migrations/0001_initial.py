import uuid
from django.db import migrations, models
import apps.tenancy.fields
import django.db.models.deletion

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("inventory", "0001_initial"),
        ("tenancy", "0001_initial"),
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
                            ("pending", "Pending enrollment"),
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
                ("approved_sealing_key", models.BinaryField(blank=True, max_length=32, null=True)),
                ("host_approved_by", models.JSONField(blank=True, null=True)),
                ("host_approved_at", models.DateTimeField(blank=True, null=True)),
                ("trusted_authorities", models.JSONField(blank=True, default=list)),
                ("skewed_since", models.DateTimeField(blank=True, null=True)),
                ("boot_first_seen_at", models.DateTimeField(blank=True, null=True)),
                ("previous_boots", models.JSONField(blank=True, default=list)),
                ("last_address", models.GenericIPAddressField(blank=True, null=True)),
                ("expiry_notified", models.CharField(blank=True, default="", max_length=50)),
                ("conflict_at", models.DateTimeField(blank=True, null=True)),
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
            ],
        ),
        migrations.CreateModel(
            name="AgentProbeDevice",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
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
            ],
        ),
        migrations.CreateModel(
            name="CertificateAuthority",
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
                            ("next", "Next: published to agents, not signing"),
                            ("active", "Active: signing"),
                            ("old", "Old: trusted, not signing"),
                            ("retired", "Retired: not trusted"),
                        ],
                        max_length=10,
                    ),
                ),
                ("certificate_pem", models.TextField()),
                ("fingerprint", models.CharField(max_length=64, unique=True)),
                ("sealed_key", models.BinaryField()),
                ("created_at", models.DateTimeField()),
                ("promoted_at", models.DateTimeField(blank=True, null=True)),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "agents_authority",
            },
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
                ("approves_host", models.BooleanField(db_default=False, default=False)),
            ],
        ),
        migrations.CreateModel(
            name="FormerAssignment",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("poll", "Polls"), ("probe", "Probes reachability")], max_length=10
                    ),
                ),
                ("ended_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="QuarantinedEntity",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("entity_type", models.CharField(max_length=20)),
                ("entity_id", models.UUIDField()),
                ("names", models.JSONField(default=list)),
                ("samples", models.JSONField(default=list)),
                ("count", models.BigIntegerField(default=0)),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="SigningRequest",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("enroll", "Enrollment certificate"),
                            ("renew", "Certificate renewal"),
                            ("listener", "Ingest listener certificate"),
                            ("stage", "Next authority"),
                        ],
                        max_length=10,
                    ),
                ),
                ("digest", models.BinaryField(max_length=32)),
                ("payload", models.JSONField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("done", "Answered"),
                            ("refused", "Refused"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("answer", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="agent",
            name="attached_device",
            field=apps.tenancy.fields.TenantForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="attached_agents",
                to="inventory.device",
            ),
        ),
        migrations.AddField(
            model_name="agent",
            name="site",
            field=apps.tenancy.fields.TenantForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="agents",
                to="inventory.site",
            ),
        ),
        migrations.AddField(
            model_name="agent",
            name="tenant",
            field=models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
        migrations.AddField(
            model_name="agentcertificate",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenancy.tenant"
            ),
        ),
        migrations.AddField(
            model_name="agentdevice",
            name="agent",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="device_assignments",
                to="agents.agent",
            ),
        ),
        migrations.AddField(
            model_name="agentdevice",
            name="device",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="agent_assignments",
                to="inventory.device",
            ),
        ),
        migrations.AddField(
            model_name="agentdevice",
            name="tenant",
            field=models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
        migrations.AddField(
            model_name="agentprobedevice",
            name="agent",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="probe_assignments",
                to="agents.agent",
            ),
        ),
        migrations.AddField(
            model_name="agentprobedevice",
            name="device",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="probing_agents",
                to="inventory.device",
            ),
        ),
        migrations.AddField(
            model_name="agentprobedevice",
            name="tenant",
            field=models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
        migrations.AddField(
            model_name="agentsite",
            name="agent",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="site_assignments",
                to="agents.agent",
            ),
        ),
        migrations.AddField(
            model_name="agentsite",
            name="site",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="agent_assignments",
                to="inventory.site",
            ),
        ),
        migrations.AddField(
            model_name="agentsite",
            name="tenant",
            field=models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
        migrations.AddConstraint(
            model_name="certificateauthority",
            constraint=models.CheckConstraint(
                condition=models.Q(("stage__in", ["next", "active", "old", "retired"])),
                name="agents_authority_stage_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="certificateauthority",
            constraint=models.UniqueConstraint(
                condition=models.Q(("stage__in", ["active", "next"])),
                fields=("stage",),
                name="agents_authority_stage_uniq",
            ),
        ),
        migrations.AddField(
            model_name="agentcertificate",
            name="authority",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="agents.certificateauthority",
            ),
        ),
        migrations.AddField(
            model_name="enrollmenttoken",
            name="agent",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="enrollment_tokens",
                to="agents.agent",
            ),
        ),
        migrations.AddField(
            model_name="enrollmenttoken",
            name="tenant",
            field=models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
        migrations.AddField(
            model_name="formerassignment",
            name="agent",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="former_assignments",
                to="agents.agent",
            ),
        ),
        migrations.AddField(
            model_name="formerassignment",
            name="device",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="former_assignments",
                to="inventory.device",
            ),
        ),
        migrations.AddField(
            model_name="formerassignment",
            name="tenant",
            field=models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
        migrations.AddField(
            model_name="quarantinedentity",
            name="agent",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="quarantined",
                to="agents.agent",
            ),
        ),
        migrations.AddField(
            model_name="quarantinedentity",
            name="tenant",
            field=models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
        migrations.AddIndex(
            model_name="signingrequest",
            index=models.Index(
                condition=models.Q(("state", "waiting")),
                fields=["created_at"],
                name="agents_signing_waiting_idx",
            ),
        ),
        migrations.AddIndex(
            model_name="signingrequest",
            index=models.Index(fields=["digest"], name="agents_signing_digest_idx"),
        ),
        migrations.AddConstraint(
            model_name="signingrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["enroll", "renew", "listener", "stage"])),
                name="agents_signingrequest_kind_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="signingrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["waiting", "done", "refused"])),
                name="agents_signingrequest_state_ck",
            ),
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
            model_name="agentdevice",
            index=models.Index(fields=["tenant", "device"], name="agents_agentdevice_device_idx"),
        ),
        migrations.AddConstraint(
            model_name="agentdevice",
            constraint=models.UniqueConstraint(
                fields=("tenant", "agent", "device"), name="agents_agentdevice_pair_uniq"
            ),
        ),
        migrations.AddIndex(
            model_name="agentprobedevice",
            index=models.Index(fields=["tenant", "device"], name="agents_probedevice_device_idx"),
        ),
        migrations.AddConstraint(
            model_name="agentprobedevice",
            constraint=models.UniqueConstraint(
                fields=("tenant", "agent", "device"), name="agents_agentprobedevice_pair_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="agentsite",
            constraint=models.UniqueConstraint(
                fields=("tenant", "agent", "site"), name="agents_agentsite_pair_uniq"
            ),
        ),
        migrations.AddIndex(
            model_name="agentcertificate",
            index=models.Index(fields=["tenant", "agent_id"], name="agents_certificate_agent_idx"),
        ),
        migrations.AddConstraint(
            model_name="enrollmenttoken",
            constraint=models.UniqueConstraint(
                fields=("tenant", "digest"), name="agents_enrollmenttoken_digest_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="formerassignment",
            constraint=models.UniqueConstraint(
                fields=("tenant", "agent", "device", "kind"), name="agents_formerassignment_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="formerassignment",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["poll", "probe"])),
                name="agents_formerassignment_kind_ck",
            ),
        ),
        migrations.AddIndex(
            model_name="quarantinedentity",
            index=models.Index(
                fields=["tenant", "agent", "last_seen_at"], name="agents_quarantined_seen_idx"
            ),
        ),
        migrations.AddConstraint(
            model_name="quarantinedentity",
            constraint=models.UniqueConstraint(
                fields=("tenant", "agent", "entity_type", "entity_id"),
                name="agents_quarantined_entity_uniq",
            ),
        ),
        IsolateTenantTable("Agent"),
        IsolateTenantTable("EnrollmentToken"),
        IsolateTenantTable("AgentDevice"),
        IsolateTenantTable("AgentSite"),
        IsolateTenantTable("AgentProbeDevice"),
        IsolateTenantTable("FormerAssignment"),
        IsolateTenantTable("QuarantinedEntity"),
        CompositeForeignKey("Agent", "site", "SET NULL (site_id)"),
        CompositeForeignKey("Agent", "attached_device", "SET NULL (attached_device_id)"),
        CompositeForeignKey("EnrollmentToken", "agent"),
        CompositeForeignKey("AgentDevice", "agent"),
        CompositeForeignKey("AgentDevice", "device"),
        CompositeForeignKey("AgentSite", "agent"),
        CompositeForeignKey("AgentSite", "site"),
        CompositeForeignKey("AgentProbeDevice", "agent"),
        CompositeForeignKey("AgentProbeDevice", "device"),
        CompositeForeignKey("FormerAssignment", "agent"),
        CompositeForeignKey("FormerAssignment", "device"),
        CompositeForeignKey("QuarantinedEntity", "agent"),
    ]
