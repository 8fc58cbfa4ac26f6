import apps.core.message_field
import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("alerts", "0001_initial"),
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="GraphVersion",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("version", models.CharField(max_length=64)),
                ("content", models.BinaryField()),
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
            name="Incident",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[("open", "Open"), ("closed", "Closed")], max_length=10
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[("info", "Info"), ("warn", "Warning"), ("critical", "Critical")],
                        max_length=10,
                    ),
                ),
                ("title", models.CharField(max_length=200)),
                ("title_message", apps.core.message_field.MessageField(blank=True, null=True)),
                ("started_at", models.DateTimeField()),
                ("opened_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "resolution",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("recovered", "Recovered"),
                            ("operator", "Closed manually"),
                            ("merged", "Merged into another incident"),
                        ],
                        default="",
                        max_length=10,
                    ),
                ),
                ("reopened_count", models.PositiveIntegerField(default=0)),
                ("sequence", models.PositiveIntegerField(default=0)),
                ("epoch", models.BigIntegerField(default=0)),
                (
                    "last_published",
                    models.CharField(
                        blank=True,
                        choices=[("", "Nothing published"), ("open", "Open"), ("closed", "Closed")],
                        default="",
                        max_length=10,
                    ),
                ),
                ("revision", models.PositiveIntegerField(default=0)),
                ("root_type", models.CharField(max_length=20)),
                ("root_id", models.UUIDField()),
                ("root_name", models.CharField(max_length=200)),
                ("confidence", models.FloatField()),
                ("sites_affected", models.PositiveIntegerField(default=0)),
                ("devices_affected", models.PositiveIntegerField(default=0)),
                ("services_affected", models.PositiveIntegerField(default=0)),
                ("subscribers_affected", models.PositiveIntegerField(blank=True, null=True)),
                ("suppressed_count", models.PositiveIntegerField(default=0)),
                ("has_flapping", models.BooleanField(default=False)),
                ("maintenance_id", models.UUIDField(blank=True, null=True)),
                ("maintenance_title", models.CharField(blank=True, default="", max_length=200)),
                ("notifications_suppressed", models.BooleanField(default=False)),
                ("acked_by", models.CharField(blank=True, default="", max_length=200)),
                ("acked_at", models.DateTimeField(blank=True, null=True)),
                ("assigned_to", models.CharField(blank=True, default="", max_length=200)),
                ("assigned_user_id", models.UUIDField(blank=True, null=True)),
                (
                    "merged_into",
                    apps.tenancy.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="merged",
                        to="incidents.incident",
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
            name="IncidentAlert",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.CharField(max_length=30)),
                ("entity_type", models.CharField(max_length=20)),
                ("entity_id", models.UUIDField()),
                ("entity_name", models.CharField(max_length=200)),
                ("device_name", models.CharField(blank=True, default="", max_length=200)),
                (
                    "severity",
                    models.CharField(
                        choices=[("info", "Info"), ("warn", "Warning"), ("critical", "Critical")],
                        max_length=10,
                    ),
                ),
                ("summary_message", apps.core.message_field.MessageField()),
                ("state", models.CharField(max_length=12)),
                ("since", models.DateTimeField()),
                ("is_suppressed", models.BooleanField(default=False)),
                ("suppressed_by_type", models.CharField(blank=True, default="", max_length=20)),
                ("suppressed_by_id", models.UUIDField(blank=True, null=True)),
                ("suppressed_reason", apps.core.message_field.MessageField(blank=True, null=True)),
                ("suppressed_since", models.DateTimeField(blank=True, null=True)),
                (
                    "alert",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="alerts.alert",
                    ),
                ),
                (
                    "incident",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="alerts",
                        to="incidents.incident",
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
            name="StoredSnapshot",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField()),
                ("content", models.BinaryField()),
                ("verdict_digest", models.CharField(max_length=64)),
                (
                    "graph",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="snapshots",
                        to="incidents.graphversion",
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
            name="Revision",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("at", models.DateTimeField()),
                ("problem", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                (
                    "incident",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="revisions",
                        to="incidents.incident",
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
                    "snapshot",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="revisions",
                        to="incidents.storedsnapshot",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TimelineEntry",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("opened", "opened"),
                            ("alert", "alert"),
                            ("recovery", "recovery"),
                            ("verdict", "verdict"),
                            ("acknowledged", "acknowledged"),
                            ("assigned", "assigned"),
                            ("note", "note"),
                            ("maintenance", "maintenance"),
                            ("delivery", "delivery"),
                            ("closed", "closed"),
                        ],
                        max_length=20,
                    ),
                ),
                ("note", models.CharField(blank=True, default="", max_length=4000)),
                ("message", apps.core.message_field.MessageField(blank=True, null=True)),
                ("actor", models.JSONField(blank=True, null=True)),
                ("detail", models.JSONField(blank=True, default=dict)),
                (
                    "incident",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="timeline",
                        to="incidents.incident",
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
            model_name="graphversion",
            constraint=models.UniqueConstraint(
                fields=("tenant", "version"), name="incidents_graph_uniq"
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                fields=["tenant", "-started_at", "-id"], name="incidents_incident_started_idx"
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                fields=["tenant", "root_id", "-ended_at"], name="incidents_incident_root_idx"
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                condition=models.Q(("status", "open")),
                fields=["tenant", "-started_at"],
                name="incidents_incident_open_idx",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.UniqueConstraint(
                fields=("tenant", "number"), name="incidents_incident_number_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["open", "closed"])),
                name="incidents_incident_status_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.CheckConstraint(
                condition=models.Q(("severity__in", ["info", "warn", "critical"])),
                name="incidents_incident_severity_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("last_published", ""), ("sequence", 0)),
                    models.Q(("last_published__in", ["open", "closed"]), ("sequence__gt", 0)),
                    _connector="OR",
                ),
                name="incidents_incident_published_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at__isnull", True), ("resolution", ""), ("status", "open")),
                    models.Q(
                        ("ended_at__isnull", False),
                        ("status", "closed"),
                        ("resolution__in", ["recovered", "operator", "merged"]),
                    ),
                    _connector="OR",
                ),
                name="incidents_incident_end_ck",
            ),
        ),
        migrations.AddIndex(
            model_name="incidentalert",
            index=models.Index(fields=["tenant", "incident"], name="incidents_alert_incident_idx"),
        ),
        migrations.AddIndex(
            model_name="incidentalert",
            index=models.Index(fields=["tenant", "entity_id"], name="incidents_alert_entity_idx"),
        ),
        migrations.AddConstraint(
            model_name="incidentalert",
            constraint=models.UniqueConstraint(
                fields=("tenant", "alert"), name="incidents_alert_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="incidentalert",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("is_suppressed", False),
                    models.Q(
                        ("suppressed_by_id__isnull", False),
                        ("suppressed_reason__isnull", False),
                        ("suppressed_since__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="incidents_alert_suppressed_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="incidentalert",
            constraint=models.CheckConstraint(
                condition=models.Q(("severity__in", ["info", "warn", "critical"])),
                name="incidents_alert_severity_ck",
            ),
        ),
        migrations.AddIndex(
            model_name="storedsnapshot",
            index=models.Index(fields=["tenant", "at"], name="incidents_snapshot_at_idx"),
        ),
        migrations.AddConstraint(
            model_name="revision",
            constraint=models.UniqueConstraint(
                fields=("tenant", "incident", "number"), name="incidents_revision_number_uniq"
            ),
        ),
        migrations.AddIndex(
            model_name="timelineentry",
            index=models.Index(
                fields=["tenant", "incident", "at"], name="incidents_timeline_at_idx"
            ),
        ),
        migrations.AddConstraint(
            model_name="timelineentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        [
                            "opened",
                            "alert",
                            "recovery",
                            "verdict",
                            "acknowledged",
                            "assigned",
                            "note",
                            "maintenance",
                            "delivery",
                            "closed",
                        ],
                    )
                ),
                name="incidents_timeline_kind_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="timelineentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("message__isnull", False), ("note", "")),
                    models.Q(models.Q(("note", ""), _negated=True), ("message__isnull", True)),
                    _connector="OR",
                ),
                name="incidents_timeline_text_ck",
            ),
        ),
        IsolateTenantTable("GraphVersion", "SELECT, INSERT"),
        IsolateTenantTable("StoredSnapshot", "SELECT, INSERT"),
        IsolateTenantTable("Incident", "SELECT, INSERT, UPDATE"),
        IsolateTenantTable("IncidentAlert", "SELECT, INSERT, UPDATE"),
        IsolateTenantTable("TimelineEntry", "SELECT, INSERT"),
        IsolateTenantTable("Revision", "SELECT, INSERT"),
        CompositeForeignKey("StoredSnapshot", "graph", "RESTRICT"),
        CompositeForeignKey("Incident", "merged_into", "SET NULL (merged_into_id)"),
        CompositeForeignKey("IncidentAlert", "incident"),
        CompositeForeignKey("IncidentAlert", "alert"),
        CompositeForeignKey("TimelineEntry", "incident"),
        CompositeForeignKey("Revision", "incident"),
        CompositeForeignKey("Revision", "snapshot", "RESTRICT"),
    ]
