import apps.core.message_field
import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="AlertRule",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.CharField(max_length=63)),
                ("pack", models.CharField(blank=True, default="", max_length=60)),
                ("version", models.PositiveIntegerField(default=1)),
                ("document", models.JSONField()),
                ("is_enabled", models.BooleanField(default=True)),
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
        ),
        migrations.CreateModel(
            name="Alert",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("entity_type", models.CharField(max_length=20)),
                ("entity_id", models.UUIDField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("ok", "OK"),
                            ("pending", "Pending"),
                            ("firing", "Firing"),
                            ("recovering", "Recovering"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[("info", "Info"), ("warn", "Warning"), ("critical", "Critical")],
                        max_length=10,
                    ),
                ),
                ("since", models.DateTimeField()),
                ("fired_at", models.DateTimeField(blank=True, null=True)),
                ("clear_since", models.DateTimeField(blank=True, null=True)),
                ("recovered_at", models.DateTimeField(blank=True, null=True)),
                ("is_flapping", models.BooleanField(default=False)),
                ("maintenance_id", models.UUIDField(blank=True, null=True)),
                ("summary", models.CharField(max_length=500)),
                ("summary_message", apps.core.message_field.MessageField()),
                ("observation", models.JSONField()),
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
                    "rule",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="alerts.alertrule",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="AlertTransition",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField()),
                ("from_state", models.CharField(max_length=12)),
                ("to_state", models.CharField(max_length=12)),
                ("observation", models.JSONField()),
                (
                    "alert",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="transitions",
                        to="alerts.alert",
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
            name="RuleOverride",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("level", models.CharField(max_length=10)),
                ("target", models.CharField(blank=True, default="", max_length=100)),
                ("changes", models.JSONField()),
                ("reason", models.CharField(blank=True, default="", max_length=200)),
                ("updated_at", models.DateTimeField()),
                (
                    "rule",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="overrides",
                        to="alerts.alertrule",
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
            model_name="alertrule",
            constraint=models.UniqueConstraint(
                fields=("tenant", "key"), name="alerts_alertrule_key_uniq"
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("state", "ok"), _negated=True),
                fields=["tenant", "rule"],
                name="alerts_alert_open_idx",
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(fields=["tenant", "-since", "-id"], name="alerts_alert_since_idx"),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                fields=["tenant", "-recovered_at"], name="alerts_alert_recovered_idx"
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "ok"), _negated=True),
                fields=("tenant", "rule", "entity_type", "entity_id"),
                name="alerts_alert_open_uniq",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["ok", "pending", "firing", "recovering"])),
                name="alerts_alert_state_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(("severity__in", ["info", "warn", "critical"])),
                name="alerts_alert_severity_ck",
            ),
        ),
        migrations.AddIndex(
            model_name="alerttransition",
            index=models.Index(fields=["tenant", "alert", "at"], name="alerts_transition_at_idx"),
        ),
        migrations.AddConstraint(
            model_name="ruleoverride",
            constraint=models.UniqueConstraint(
                fields=("tenant", "rule", "level", "target"), name="alerts_ruleoverride_target_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="ruleoverride",
            constraint=models.CheckConstraint(
                condition=models.Q(("level__in", ["device", "tag", "role", "site", "tenant"])),
                name="alerts_ruleoverride_level_ck",
            ),
        ),
        IsolateTenantTable("AlertRule"),
        IsolateTenantTable("RuleOverride"),
        IsolateTenantTable("Alert"),
        IsolateTenantTable("AlertTransition", "SELECT, INSERT"),
        CompositeForeignKey("RuleOverride", "rule"),
        CompositeForeignKey("Alert", "rule"),
        CompositeForeignKey("AlertTransition", "alert"),
    ]
