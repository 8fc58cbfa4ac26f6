from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0001_series_and_samples")]

    operations = [
        migrations.AddField("latest", "is_late", models.BooleanField(default=False)),
        migrations.AddIndex(
            "event",
            models.Index(fields=["tenant", "event_type", "-ts"], name="telemetry_event_type_idx"),
        ),
    ]
