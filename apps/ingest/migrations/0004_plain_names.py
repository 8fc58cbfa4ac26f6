from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("ingest", "0003_listening")]

    operations = [migrations.RenameModel("Listening", "Uptime")]
