import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import IsolateTenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("tenancy", "0001_tenant"),
        ("vault", "0001_initial"),
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
            name="PlatformKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveIntegerField(db_default=1, default=1)),
                ("wrapped", models.BinaryField()),
                ("created_at", models.DateTimeField()),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
            ],
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
                            ("agent_config", "An agent's assignment"),
                            ("webhook_signing", "Signing what a webhook sends"),
                            ("connection_test", "A connection test"),
                        ],
                        max_length=30,
                    ),
                ),
                ("holder_type", models.CharField(max_length=60)),
                ("holder_id", models.CharField(max_length=100)),
                ("terms", models.CharField(max_length=200)),
                ("leased_at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="tenantkey",
            name="vault_tenantkey_tenant_uniq",
        ),
        migrations.AddField(
            model_name="tenantkey",
            name="retired_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="tenantkey",
            name="version",
            field=models.PositiveIntegerField(db_default=1, default=1),
        ),
        migrations.AddConstraint(
            model_name="tenantkey",
            constraint=models.UniqueConstraint(
                fields=("tenant", "version"), name="vault_tenantkey_version_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="platformkey",
            constraint=models.UniqueConstraint(
                fields=("version",), name="vault_platformkey_version_uniq"
            ),
        ),
        migrations.AddField(
            model_name="secretlease",
            name="tenant",
            field=models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
            ),
        ),
        migrations.AddConstraint(
            model_name="secretlease",
            constraint=models.UniqueConstraint(
                fields=("tenant", "purpose", "holder_type", "holder_id"),
                name="vault_secretlease_holder_uniq",
            ),
        ),
        migrations.AddConstraint(
            model_name="secretlease",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("purpose__in", ["agent_config", "webhook_signing", "connection_test"])
                ),
                name="vault_secretlease_purpose_ck",
            ),
        ),
        IsolateTenantTable("SecretLease"),
    ]
