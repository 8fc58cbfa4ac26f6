import django.db.models.deletion
from django.db import migrations, models

import apps.tenancy.fields

ENTITY_TYPES = [
    "site",
    "device",
    "interface",
    "link",
    "bgp_peer",
    "ospf_neighbor",
    "probe_target",
    "service",
]


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0005_login_approvals"),
        ("vault", "0004_plain_names"),
    ]

    operations = [
        migrations.RemoveConstraint("wirealias", "inventory_wirealias_wire_uniq"),
        migrations.RemoveConstraint("wirealias", "inventory_wirealias_type_ck"),
        migrations.RenameModel("WireAlias", "EntityAlias"),
        migrations.RenameIndex(
            "entityalias",
            new_name="inventory_entityalias_ref_idx",
            old_name="inventory_wirealias_entity_idx",
        ),
        migrations.AddConstraint(
            "entityalias",
            models.UniqueConstraint(
                fields=("tenant", "wire_id"), name="inventory_entityalias_wire_uniq"
            ),
        ),
        migrations.AddConstraint(
            "entityalias",
            models.CheckConstraint(
                condition=models.Q(("entity_type__in", ENTITY_TYPES)),
                name="inventory_entityalias_type_ck",
            ),
        ),
        migrations.AlterField(
            "entityalias",
            "device",
            apps.tenancy.fields.TenantForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="entity_aliases",
                to="inventory.device",
            ),
        ),
        migrations.AlterField(
            "devicecredential",
            "device",
            apps.tenancy.fields.TenantForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="fallback_credentials",
                to="inventory.device",
            ),
        ),
        migrations.AlterField(
            "devicecredential",
            "credential_set",
            apps.tenancy.fields.TenantForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="fallback_devices",
                to="vault.credentialset",
            ),
        ),
    ]
