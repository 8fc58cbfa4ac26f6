from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("vault", "0003_credential_kinds"),
    ]

    operations = [
        migrations.RenameField("credentialset", "held", "secret_names"),
        migrations.RenameField("platformkey", "wrapped", "wrapped_key"),
        migrations.RenameField("tenantkey", "wrapped", "wrapped_key"),
        migrations.RenameField("platformsecret", "sealed", "sealed_value"),
    ]
