from django.db import migrations, models
from django.db.models import Q

# Of an incident that came back inside a window, nothing says whether its receivers think it closed: it counts as told
# open, so that they hear one end too many rather than none. Migrations run as the owner of the table, whom its policy
# binds too while it is forced.
TELL_FROM_STATUS = """
ALTER TABLE incidents_incident NO FORCE ROW LEVEL SECURITY;
UPDATE incidents_incident SET told_as = status WHERE sequence > 0;
ALTER TABLE incidents_incident FORCE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [("incidents", "0004_flapping_and_maintenance")]

    operations = [
        migrations.AddField(
            "incident",
            "told_as",
            models.CharField(
                blank=True,
                choices=[
                    ("", "Nobody was told"),
                    ("open", "Open"),
                    ("closed", "Closed"),
                ],
                default="",
                max_length=10,
            ),
        ),
        migrations.RunSQL(TELL_FROM_STATUS, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "incident",
            models.CheckConstraint(
                condition=Q(told_as="", sequence=0)
                | Q(told_as__in=["open", "closed"], sequence__gt=0),
                name="incidents_incident_told_ck",
            ),
        ),
    ]
