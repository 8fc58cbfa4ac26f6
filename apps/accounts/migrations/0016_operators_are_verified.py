"""Platform operators were made by the database's owner, whose word it is that the address is theirs."""

from typing import Any

from django.db import migrations
from django.db.models.functions import Now


def verify_operators(apps: Any, schema_editor: Any) -> None:
    users = apps.get_model("accounts", "User").objects.using(schema_editor.connection.alias)
    rows = users.filter(platform_operator__isnull=False, email_verified_at=None, local_tenant=None)
    rows.update(email_verified_at=Now())


class Migration(migrations.Migration):
    dependencies = [("accounts", "0015_people_who_consent")]

    operations = [migrations.RunPython(verify_operators, migrations.RunPython.noop)]
