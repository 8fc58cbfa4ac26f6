from django.db import migrations, models

FIRST = """
INSERT INTO events_installation (id, epoch, fingerprint) VALUES (1, 0,
    (SELECT system_identifier::text FROM pg_control_system())
    || ':' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
    || ':' || (SELECT oid::text FROM pg_database WHERE datname = current_database()))
"""


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0003_running_process"),
    ]

    operations = [
        migrations.CreateModel(
            name="Installation",
            fields=[
                (
                    "id",
                    models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False),
                ),
                ("epoch", models.BigIntegerField(default=0)),
                ("fingerprint", models.CharField(max_length=60)),
            ],
        ),
        migrations.RunSQL(FIRST, migrations.RunSQL.noop),
    ]
