from django.db import migrations, models

from apps.tenancy.context import TENANT_SETTING


def _rename_kind(schema_editor, old, new):
    """The owner is under the row policies too: tenant by tenant."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id FROM tenancy_tenant")
        for (tenant_id,) in cursor.fetchall():
            cursor.execute("SELECT set_config(%s, %s, true)", [TENANT_SETTING, str(tenant_id)])
            cursor.execute(
                "UPDATE agents_formerassignment SET kind = %s WHERE kind = %s", [new, old]
            )
        cursor.execute("SELECT set_config(%s, '', true)", [TENANT_SETTING])


def read_to_poll(apps, schema_editor):
    _rename_kind(schema_editor, "read", "poll")


def poll_to_read(apps, schema_editor):
    _rename_kind(schema_editor, "poll", "read")


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0007_ownership"),
        ("inventory", "0006_plain_names"),
    ]

    operations = [
        migrations.RenameField("agent", "heard_address", "last_address"),
        migrations.RenameField("agent", "expiry_told", "expiry_notified"),
        migrations.RenameField("agent", "boot_since", "boot_first_seen_at"),
        migrations.RenameField("agent", "former_boots", "previous_boots"),
        migrations.RemoveConstraint("agentprobing", "agents_agentprobing_pair_uniq"),
        migrations.RenameModel("AgentProbing", "AgentProbeDevice"),
        migrations.RenameIndex(
            "agentprobedevice",
            new_name="agents_probedevice_device_idx",
            old_name="agents_probing_device_idx",
        ),
        migrations.AddConstraint(
            "agentprobedevice",
            models.UniqueConstraint(
                fields=("tenant", "agent", "device"), name="agents_agentprobedevice_pair_uniq"
            ),
        ),
        migrations.RemoveConstraint("formerassignment", "agents_formerassignment_kind_ck"),
        migrations.RunPython(read_to_poll, poll_to_read),
        migrations.AddConstraint(
            "formerassignment",
            models.CheckConstraint(
                condition=models.Q(("kind__in", ["poll", "probe"])),
                name="agents_formerassignment_kind_ck",
            ),
        ),
        migrations.AlterField(
            "formerassignment",
            "kind",
            models.CharField(
                choices=[("poll", "Polls"), ("probe", "Probes reachability")], max_length=10
            ),
        ),
        migrations.AlterField(
            "agent",
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
        migrations.AlterField(
            "certificateauthority",
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
        migrations.AlterField(
            "signingrequest",
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
    ]
