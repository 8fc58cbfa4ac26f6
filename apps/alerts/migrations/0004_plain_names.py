from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("alerts", "0003_flapping")]

    operations = [
        migrations.RenameField("alert", "well_since", "clear_since"),
        migrations.RenameField("alert", "seen", "observation"),
        migrations.RenameField("alerttransition", "seen", "observation"),
    ]
