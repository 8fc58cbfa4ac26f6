from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("incidents", "0006_epoch")]

    operations = [
        migrations.RemoveConstraint("incident", "incidents_incident_told_ck"),
        migrations.RenameField("incident", "told_as", "last_published"),
        migrations.AlterField(
            "incident",
            "last_published",
            models.CharField(
                blank=True,
                choices=[("", "Nothing published"), ("open", "Open"), ("closed", "Closed")],
                default="",
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            "incident",
            models.CheckConstraint(
                condition=Q(last_published="", sequence=0)
                | Q(last_published__in=["open", "closed"], sequence__gt=0),
                name="incidents_incident_published_ck",
            ),
        ),
        migrations.AlterField(
            "incident",
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
        migrations.RenameField("incident", "is_held", "notifications_suppressed"),
        migrations.RenameField("revision", "trouble", "problem"),
    ]
