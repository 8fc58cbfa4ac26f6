import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0002_grants"),
        ("tenancy", "0001_tenant"),
        ("vault", "0003_credential_kinds"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeviceCredential",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("position", models.PositiveSmallIntegerField()),
                (
                    "credential_set",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="further_devices",
                        to="vault.credentialset",
                    ),
                ),
                (
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="further_credentials",
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
                "ordering": ["position"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "device", "credential_set"),
                        name="inventory_devicecredential_set_uniq",
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="device",
            name="working_credential_set",
            field=models.UUIDField(blank=True, editable=False, null=True),
        ),
        IsolateTenantTable("DeviceCredential"),
        CompositeForeignKey("DeviceCredential", "device"),
        CompositeForeignKey("DeviceCredential", "credential_set", "RESTRICT"),
    ]
