from django.db import migrations, models
from django.db.models import Q

KINDS = [
    *("opened", "alert", "recovery", "verdict", "acknowledged", "assigned", "note"),
    *("maintenance", "delivery", "closed"),
]


class Migration(migrations.Migration):
    dependencies = [("incidents", "0003_alert_entity_idx")]

    operations = [
        migrations.AddField("incident", "has_flapping", models.BooleanField(default=False)),
        migrations.AddField("incident", "maintenance_id", models.UUIDField(blank=True, null=True)),
        migrations.AddField(
            "incident",
            "maintenance_title",
            models.CharField(blank=True, default="", max_length=200),
        ),
        migrations.AddField("incident", "is_held", models.BooleanField(default=False)),
        migrations.RemoveConstraint("timelineentry", "incidents_timeline_kind_ck"),
        migrations.AlterField(
            "timelineentry",
            "kind",
            models.CharField(choices=[(kind, kind) for kind in KINDS], max_length=20),
        ),
        migrations.AddConstraint(
            "timelineentry",
            models.CheckConstraint(condition=Q(kind__in=KINDS), name="incidents_timeline_kind_ck"),
        ),
    ]
