import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("inventory", "0001_initial"),
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="MaintenanceWindow",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("title", models.CharField(max_length=200)),
                ("reason", models.CharField(blank=True, default="", max_length=2000)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("notify_critical", models.BooleanField(default=False)),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
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
            name="WindowTarget",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="inventory.device",
                    ),
                ),
                (
                    "site",
                    apps.tenancy.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
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
                (
                    "window",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="targets",
                        to="maintenance.maintenancewindow",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="maintenancewindow",
            index=models.Index(
                fields=["tenant", "-starts_at", "-id"], name="maintenance_starts_idx"
            ),
        ),
        migrations.AddIndex(
            model_name="maintenancewindow",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", True)),
                fields=["tenant", "ends_at"],
                name="maintenance_open_idx",
            ),
        ),
        migrations.AddConstraint(
            model_name="maintenancewindow",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_at__gt", models.F("starts_at"))),
                name="maintenance_window_times_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="windowtarget",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("device__isnull", True), ("site__isnull", False)),
                    models.Q(("device__isnull", False), ("site__isnull", True)),
                    _connector="OR",
                ),
                name="maintenance_target_one_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="windowtarget",
            constraint=models.UniqueConstraint(
                fields=("tenant", "window", "site", "device"),
                name="maintenance_target_uniq",
                nulls_distinct=False,
            ),
        ),
        IsolateTenantTable("MaintenanceWindow"),
        IsolateTenantTable("WindowTarget"),
        CompositeForeignKey("WindowTarget", "window"),
        CompositeForeignKey("WindowTarget", "site"),
        CompositeForeignKey("WindowTarget", "device"),
    ]
