import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Apart from the first: mfa's tables refer to the user, and this one to mfa's."""

    dependencies = [
        ("accounts", "0001_initial"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]

    operations = [
        migrations.CreateModel(
            name="PasskeyCredential",
            fields=[
                (
                    "authenticator",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="credential",
                        serialize=False,
                        to="mfa.authenticator",
                    ),
                ),
                ("digest", models.BinaryField(max_length=32)),
                ("sign_count", models.BigIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("digest",), name="accounts_passkeycredential_digest_uniq"
                    )
                ],
            },
        ),
    ]
