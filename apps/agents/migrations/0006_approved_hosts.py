from django.db import migrations, models

from apps.tenancy.context import TENANT_SETTING


# Every device with a login, as it is at this moment, and the agents that read it: named, else by its site.
APPROVE_LOGINS = """
INSERT INTO inventory_loginapproval (id, tenant_id, device_id, address, port, tls, credential_sets, agents,
    approved_by, approved_at, certificate, presented_certificate)
SELECT gen_random_uuid(), d.tenant_id, d.id, d.management_address, d.api_port, d.api_tls, s.sets,
    coalesce(n.agents, p.agents, '[]'::jsonb),
    '{"kind": "system", "id": "upgrade", "label": "upgrade"}'::jsonb, now(), '', ''
FROM inventory_device d
CROSS JOIN LATERAL (
    SELECT jsonb_agg(DISTINCT found.set_id::text) AS sets FROM (
        SELECT d.credential_set_id AS set_id WHERE d.credential_set_id IS NOT NULL
        UNION SELECT c.credential_set_id FROM inventory_devicecredential c WHERE c.device_id = d.id
    ) found
) s
LEFT JOIN LATERAL (
    SELECT jsonb_agg(DISTINCT a.agent_id::text) AS agents FROM agents_agentdevice a WHERE a.device_id = d.id
) n ON true
LEFT JOIN LATERAL (
    SELECT jsonb_agg(DISTINCT a.agent_id::text) AS agents FROM agents_agentsite a WHERE a.site_id = d.site_id
) p ON true
WHERE s.sets IS NOT NULL
ON CONFLICT DO NOTHING
"""
APPROVE_HOSTS = """
UPDATE agents_agent SET approved_sealing_key = sealing_public_key, host_approved_at = now(),
    host_approved_by = '{"kind": "system", "id": "upgrade", "label": "upgrade"}'::jsonb
WHERE sealing_public_key IS NOT NULL AND approved_sealing_key IS NULL
"""


def approve_what_exists(apps, schema_editor):
    """Logins go on as before the upgrade. The owner is under the policies too: tenant by tenant."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id FROM tenancy_tenant")
        for (tenant_id,) in cursor.fetchall():
            cursor.execute("SELECT set_config(%s, %s, true)", [TENANT_SETTING, str(tenant_id)])
            cursor.execute(APPROVE_LOGINS)
            cursor.execute(APPROVE_HOSTS)
        cursor.execute("SELECT set_config(%s, '', true)", [TENANT_SETTING])


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0005_drop_leased_config_version"),
        ("inventory", "0005_login_approvals"),
    ]

    operations = [
        migrations.AddField(
            model_name="agent",
            name="approved_sealing_key",
            field=models.BinaryField(blank=True, max_length=32, null=True),
        ),
        migrations.AddField(
            model_name="agent",
            name="host_approved_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="agent",
            name="host_approved_by",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="enrollmenttoken",
            name="approves_host",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RunPython(approve_what_exists, migrations.RunPython.noop),
    ]
