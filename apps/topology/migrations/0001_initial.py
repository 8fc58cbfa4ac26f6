import apps.tenancy.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="DependencyGroup",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "dependent_type",
                    models.CharField(
                        choices=[
                            ("site", "Site"),
                            ("device", "Device"),
                            ("interface", "Interface"),
                            ("link", "Link"),
                            ("bgp_peer", "BGP peer"),
                            ("ospf_neighbor", "OSPF neighbor"),
                            ("service", "Service"),
                            ("probe_target", "Probe target"),
                        ],
                        max_length=20,
                    ),
                ),
                ("dependent_id", models.UUIDField()),
                (
                    "mode",
                    models.CharField(
                        choices=[("any", "Any"), ("all", "All"), ("k_of_n", "At least k")],
                        max_length=10,
                    ),
                ),
                ("k", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("note", models.CharField(blank=True, default="", max_length=200)),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="DependencyMember",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "member_type",
                    models.CharField(
                        choices=[
                            ("site", "Site"),
                            ("device", "Device"),
                            ("interface", "Interface"),
                            ("link", "Link"),
                            ("bgp_peer", "BGP peer"),
                            ("ospf_neighbor", "OSPF neighbor"),
                            ("service", "Service"),
                            ("probe_target", "Probe target"),
                        ],
                        max_length=20,
                    ),
                ),
                ("member_id", models.UUIDField()),
                (
                    "group",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="members",
                        to="topology.dependencygroup",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="dependencygroup",
            index=models.Index(
                fields=["tenant", "dependent_type", "dependent_id"],
                name="topology_group_dependent_idx",
            ),
        ),
        migrations.AddConstraint(
            model_name="dependencygroup",
            constraint=models.CheckConstraint(
                condition=models.Q(("mode__in", ["any", "all", "k_of_n"])),
                name="topology_dependencygroup_mode_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="dependencygroup",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "dependent_type__in",
                        [
                            "site",
                            "device",
                            "interface",
                            "link",
                            "bgp_peer",
                            "ospf_neighbor",
                            "service",
                            "probe_target",
                        ],
                    )
                ),
                name="topology_dependencygroup_type_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="dependencygroup",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("k__gte", 1), ("mode", "k_of_n")),
                    models.Q(models.Q(("mode", "k_of_n"), _negated=True), ("k__isnull", True)),
                    _connector="OR",
                ),
                name="topology_dependencygroup_k_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="dependencymember",
            constraint=models.UniqueConstraint(
                fields=("tenant", "group", "member_type", "member_id"),
                name="topology_dependencymember_uniq",
            ),
        ),
        migrations.AddConstraint(
            model_name="dependencymember",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "member_type__in",
                        [
                            "site",
                            "device",
                            "interface",
                            "link",
                            "bgp_peer",
                            "ospf_neighbor",
                            "service",
                            "probe_target",
                        ],
                    )
                ),
                name="topology_dependencymember_type_ck",
            ),
        ),
        IsolateTenantTable("DependencyGroup"),
        IsolateTenantTable("DependencyMember"),
        CompositeForeignKey("DependencyMember", "group"),
    ]
