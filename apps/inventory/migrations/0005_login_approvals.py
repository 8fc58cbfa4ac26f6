import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0004_names_as_operators_say_them"),
        ("tenancy", "0001_tenant"),
    ]

    operations = [
        migrations.CreateModel(
            name="LoginApproval",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("address", models.GenericIPAddressField()),
                ("port", models.PositiveIntegerField()),
                ("tls", models.BooleanField()),
                ("credential_sets", models.JSONField(default=list)),
                ("agents", models.JSONField(default=list)),
                ("approved_by", models.JSONField()),
                ("approved_at", models.DateTimeField()),
                ("certificate", models.CharField(blank=True, default="", max_length=64)),
                ("certificate_at", models.DateTimeField(blank=True, null=True)),
                ("presented_certificate", models.CharField(blank=True, default="", max_length=64)),
                ("presented_at", models.DateTimeField(blank=True, null=True)),
                (
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="login_approvals",
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
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "device"), name="inventory_loginapproval_device_uniq"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("port__range", (1, 65535))),
                        name="inventory_loginapproval_port_ck",
                    ),
                ],
            },
        ),
        IsolateTenantTable("LoginApproval"),
        CompositeForeignKey("LoginApproval", "device"),
    ]
