"""Deliveries are the engine's (``apps.delivery``); an endpoint keeps its configuration and points to its destination."""

import django.db.models.deletion
from django.db import migrations, models

import apps.tenancy.fields
from apps.tenancy.operations import CompositeForeignKey, exempt_owner

MOVED = (
    "name",
    "deleted_at",
    "pause_reason",
    "paused_at",
    "last_success_at",
    "failing_since",
    "slow_failures",
    "backoff_until",
)


class Migration(migrations.Migration):
    dependencies = [
        ("delivery", "0001_initial"),
        ("webhooks", "0001_initial"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.DeleteModel("Attempt"),
                migrations.DeleteModel("Delivery"),
            ],
        ),
        migrations.AddField(
            model_name="endpoint",
            name="destination",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="delivery.destination",
            ),
        ),
        migrations.RunSQL(
            exempt_owner("webhooks_endpoint", "UPDATE webhooks_endpoint SET destination_id = id"),
            elidable=True,
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="destination",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="delivery.destination",
            ),
        ),
        CompositeForeignKey("Endpoint", "destination"),
        migrations.AddConstraint(
            model_name="endpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("id", models.F("destination"))),
                name="webhooks_endpoint_destination_ck",
            ),
        ),
        migrations.RemoveConstraint(model_name="endpoint", name="webhooks_endpoint_name_uniq"),
        migrations.RemoveConstraint(model_name="endpoint", name="webhooks_endpoint_pause_ck"),
        *(migrations.RemoveField(model_name="endpoint", name=name) for name in MOVED),
    ]
