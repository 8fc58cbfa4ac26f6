from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("maintenance", "0001_windows")]

    operations = [
        migrations.RenameField("maintenancewindow", "lets_critical_through", "notify_critical")
    ]
