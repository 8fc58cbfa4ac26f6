from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("diagnostics", "0002_test_destination")]

    operations = [
        migrations.RenameField("connectiontest", "worked", "accepted_credential_set"),
        migrations.RenameField("connectiontest", "taken_at", "started_at"),
    ]
