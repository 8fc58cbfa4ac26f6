from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_list_settings"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="apitoken",
            options={"verbose_name": "API token", "verbose_name_plural": "API tokens"},
        ),
    ]
