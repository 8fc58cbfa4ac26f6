import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import IsolateTenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="MasterKey",
            fields=[
                ("key_id", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("check_value", models.BinaryField()),
                ("created_at", models.DateTimeField()),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="PlatformSecret",
            fields=[
                ("name", models.CharField(max_length=60, primary_key=True, serialize=False)),
                ("sealed_value", models.BinaryField()),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="PlatformKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveIntegerField(db_default=1, default=1)),
                ("wrapped_key", models.BinaryField()),
                ("created_at", models.DateTimeField()),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("version",), name="vault_platformkey_version_uniq"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CredentialSet",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                (
                    "kind",
                    models.CharField(
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
                ("username", models.CharField(blank=True, db_default="", max_length=100)),
                ("options", models.JSONField(blank=True, db_default={}, default=dict)),
                ("secret_names", models.JSONField(blank=True, db_default=[], default=list)),
                ("sealed_secret", models.BinaryField()),
                ("version", models.PositiveIntegerField(default=1)),
                ("updated_at", models.DateTimeField()),
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
                        fields=("tenant", "name"), name="vault_credentialset_name_uniq"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["routeros_api", "snmp_v2c", "snmp_v3", "ssh", "webhook"])
                        ),
                        name="vault_credentialset_kind_ck",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SecretLease",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "purpose",
                    models.CharField(
                        choices=[
                            ("agent_config", "Agent configuration"),
                            ("webhook_signing", "Webhook signing"),
                            ("connection_test", "Connection test"),
                        ],
                        max_length=30,
                    ),
                ),
                ("holder_type", models.CharField(max_length=60)),
                ("holder_id", models.CharField(max_length=100)),
                ("terms", models.CharField(max_length=200)),
                ("leased_at", models.DateTimeField()),
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
                        fields=("tenant", "purpose", "holder_type", "holder_id"),
                        name="vault_secretlease_holder_uniq",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("purpose__in", ["agent_config", "webhook_signing", "connection_test"])
                        ),
                        name="vault_secretlease_purpose_ck",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TenantKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("version", models.PositiveIntegerField(db_default=1, default=1)),
                ("wrapped_key", models.BinaryField()),
                ("created_at", models.DateTimeField()),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
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
                        fields=("tenant", "version"), name="vault_tenantkey_version_uniq"
                    )
                ],
            },
        ),
        IsolateTenantTable("TenantKey", "SELECT, INSERT, UPDATE"),
        IsolateTenantTable("CredentialSet"),
        IsolateTenantTable("SecretLease"),
    ]
