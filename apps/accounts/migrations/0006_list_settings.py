import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from apps.tenancy.operations import IsolateTenantTable

MEMBER_KEY = (
    "ALTER TABLE accounts_listsetting ADD CONSTRAINT accounts_listsetting_member_fk"
    " FOREIGN KEY (tenant_id, user_id) REFERENCES accounts_membership (tenant_id, user_id)"
    " ON DELETE CASCADE"
)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_open_sessions"), ("tenancy", "0001_tenant")]

    operations = [
        migrations.CreateModel(
            name="ListSetting",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "page",
                    models.CharField(
                        choices=[
                            ("devices", "Devices"),
                            ("sites", "Sites"),
                            ("alerts", "Alerts"),
                            ("incidents", "Incidents"),
                        ],
                        max_length=20,
                    ),
                ),
                ("hidden", models.JSONField(blank=True, default=list)),
                ("views", models.JSONField(blank=True, default=list)),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="list_settings",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "user", "page"), name="accounts_listsetting_page_uniq"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("page__in", ["devices", "sites", "alerts", "incidents"])
                        ),
                        name="accounts_listsetting_page_ck",
                    ),
                ],
            },
        ),
        IsolateTenantTable("ListSetting"),
        # A member's alone: it ends with the membership.
        migrations.RunSQL(
            MEMBER_KEY,
            "ALTER TABLE accounts_listsetting DROP CONSTRAINT accounts_listsetting_member_fk",
        ),
    ]
