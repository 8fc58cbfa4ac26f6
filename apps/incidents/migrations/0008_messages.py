from django.db import migrations, models
from django.db.models import Q

from apps.core.message_field import MessageField

# Migrations run as the owner of the tables, who is bound by their policies while these are forced.
CONVERT = """
ALTER TABLE incidents_incidentalert NO FORCE ROW LEVEL SECURITY;
UPDATE incidents_incidentalert SET
  summary_message = jsonb_build_object('code', 'alerts.summary.text', 'params', jsonb_build_object('text', summary)),
  suppressed_reason = CASE WHEN is_suppressed THEN jsonb_build_object(
    'code', 'alerts.summary.text', 'params', jsonb_build_object('text', old_reason)) END;
ALTER TABLE incidents_incidentalert FORCE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [("incidents", "0007_plain_names")]

    operations = [
        migrations.AddField("incident", "title_message", MessageField(null=True, blank=True)),
        migrations.RenameField("timelineentry", "text", "note"),
        migrations.AlterField(
            "timelineentry", "note", models.CharField(max_length=4000, blank=True, default="")
        ),
        migrations.AddField("timelineentry", "message", MessageField(null=True, blank=True)),
        migrations.AddConstraint(
            "timelineentry",
            models.CheckConstraint(
                condition=Q(note="", message__isnull=False)
                | (~Q(note="") & Q(message__isnull=True)),
                name="incidents_timeline_text_ck",
            ),
        ),
        migrations.RemoveConstraint("incidentalert", "incidents_alert_suppressed_ck"),
        migrations.RenameField("incidentalert", "suppressed_reason", "old_reason"),
        migrations.AddField(
            "incidentalert", "suppressed_reason", MessageField(null=True, blank=True)
        ),
        migrations.AddField("incidentalert", "summary_message", MessageField(null=True)),
        migrations.RunSQL(CONVERT, migrations.RunSQL.noop),
        migrations.AlterField("incidentalert", "summary_message", MessageField()),
        migrations.RemoveField("incidentalert", "summary"),
        migrations.RemoveField("incidentalert", "old_reason"),
        migrations.AddConstraint(
            "incidentalert",
            models.CheckConstraint(
                condition=Q(is_suppressed=False)
                | Q(
                    suppressed_by_id__isnull=False,
                    suppressed_since__isnull=False,
                    suppressed_reason__isnull=False,
                ),
                name="incidents_alert_suppressed_ck",
            ),
        ),
    ]
