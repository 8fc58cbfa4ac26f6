from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0002_alerts_by_time")]

    operations = [
        migrations.AddField("alert", "is_flapping", models.BooleanField(default=False)),
        migrations.AddField("alert", "maintenance_id", models.UUIDField(blank=True, null=True)),
    ]
