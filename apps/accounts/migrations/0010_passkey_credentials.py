from hashlib import sha256
from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from fido2.utils import websafe_decode
from fido2.webauthn import AttestationObject


def note_credentials(apps: Any, schema_editor: Any) -> None:
    """Of passkeys that are there, the oldest of each credential keeps it: a second one opens nothing any more."""
    database = schema_editor.connection.alias
    credentials = apps.get_model("accounts", "PasskeyCredential").objects.using(database)
    passkeys = apps.get_model("mfa", "Authenticator").objects.using(database)
    for row in passkeys.filter(type="webauthn").order_by("pk").iterator(chunk_size=500):
        attested = row.data["credential"]["response"]["attestationObject"]
        found = AttestationObject(websafe_decode(attested)).auth_data
        digest = sha256(found.credential_data.credential_id).digest()
        if not credentials.filter(digest=digest).exists():
            credentials.create(authenticator_id=row.pk, digest=digest, sign_count=found.counter)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_setup"),
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
        migrations.RunPython(note_credentials, migrations.RunPython.noop),
    ]
