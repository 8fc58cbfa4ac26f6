from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0004_plain_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="summary_code",
            field=models.CharField(blank=True, default="", max_length=60),
        ),
        migrations.AddField(
            model_name="alert",
            name="summary_params",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
