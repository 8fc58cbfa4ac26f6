from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenancy", "0001_tenant"),
        ("vault", "0002_key_versions_and_leases"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="credentialset",
            name="vault_credentialset_kind_ck",
        ),
        migrations.AddField(
            model_name="credentialset",
            name="held",
            field=models.JSONField(blank=True, db_default=[], default=list),
        ),
        migrations.AddField(
            model_name="credentialset",
            name="options",
            field=models.JSONField(blank=True, db_default={}, default=dict),
        ),
        migrations.AlterField(
            model_name="credentialset",
            name="kind",
            field=models.CharField(
                choices=[
                    ("routeros_api", "RouterOS API"),
                    ("snmp_v2c", "SNMP v2c"),
                    ("snmp_v3", "SNMP v3"),
                    ("ssh", "SSH"),
                    ("webhook", "Webhook"),
                ],
                default="routeros_api",
                max_length=30,
            ),
        ),
        migrations.AlterField(
            model_name="credentialset",
            name="username",
            field=models.CharField(blank=True, db_default="", max_length=100),
        ),
        migrations.AddConstraint(
            model_name="credentialset",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind__in", ["routeros_api", "snmp_v2c", "snmp_v3", "ssh", "webhook"])
                ),
                name="vault_credentialset_kind_ck",
            ),
        ),
    ]
