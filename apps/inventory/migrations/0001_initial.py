import apps.inventory.profiles
import apps.tenancy.fields
import django.core.validators
import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from apps.tenancy.operations import CompositeForeignKey, IsolateTenantTable


MEMBER_KEY = (
    "ALTER TABLE {0} ADD CONSTRAINT {0}_member_fk FOREIGN KEY (tenant_id, user_id)"
    " REFERENCES accounts_membership (tenant_id, user_id) ON DELETE CASCADE"
)


def member_key(table):
    """A row that belongs to a member is deleted with the membership."""
    return migrations.RunSQL(
        MEMBER_KEY.format(table), f"ALTER TABLE {table} DROP CONSTRAINT {table}_member_fk"
    )


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("tenancy", "0001_initial"),
        ("vault", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Device",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[("operator", "Operator"), ("discovered", "Discovered")],
                        default="operator",
                        max_length=20,
                    ),
                ),
                ("operator_fields", models.JSONField(blank=True, default=list, editable=False)),
                ("last_seen_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("name", models.CharField(max_length=100)),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("core", "Core"),
                            ("edge", "Edge"),
                            ("agg", "Aggregation"),
                            ("bng", "BNG"),
                            ("access", "Access"),
                            ("other", "Other"),
                        ],
                        default="other",
                        max_length=20,
                    ),
                ),
                ("management_address", models.GenericIPAddressField()),
                (
                    "api_port",
                    models.PositiveIntegerField(
                        default=8728,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(65535),
                        ],
                        verbose_name="API port",
                    ),
                ),
                ("api_tls", models.BooleanField(default=False, verbose_name="API TLS")),
                ("working_credential_set", models.UUIDField(blank=True, editable=False, null=True)),
                (
                    "polling_profile",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        validators=[apps.inventory.profiles.validate_polling_profile],
                    ),
                ),
                (
                    "tags",
                    models.JSONField(
                        blank=True, default=list, validators=[apps.inventory.profiles.validate_tags]
                    ),
                ),
                ("identity", models.CharField(blank=True, default="", max_length=200)),
                ("version", models.CharField(blank=True, default="", max_length=100)),
                ("board_name", models.CharField(blank=True, default="", max_length=100)),
                ("model", models.CharField(blank=True, default="", max_length=100)),
                ("serial", models.CharField(blank=True, default="", max_length=100)),
                ("discovered_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "credential_set",
                    apps.tenancy.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="devices",
                        to="vault.credentialset",
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
        migrations.CreateModel(
            name="Interface",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[("operator", "Operator"), ("discovered", "Discovered")],
                        default="operator",
                        max_length=20,
                    ),
                ),
                ("operator_fields", models.JSONField(blank=True, default=list, editable=False)),
                ("last_seen_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("name", models.CharField(max_length=100)),
                ("type", models.CharField(blank=True, default="", max_length=50)),
                (
                    "mac_address",
                    models.CharField(
                        blank=True, default="", max_length=17, verbose_name="MAC address"
                    ),
                ),
                ("comment", models.CharField(blank=True, default="", max_length=500)),
                ("disabled", models.BooleanField(default=False)),
                ("mtu", models.PositiveIntegerField(blank=True, null=True, verbose_name="MTU")),
                ("speed_bps", models.PositiveBigIntegerField(blank=True, null=True)),
                (
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="interfaces",
                        to="inventory.device",
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
        migrations.CreateModel(
            name="Link",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=150)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("ring", "Ring"),
                            ("backhaul", "Backhaul"),
                            ("access", "Access"),
                            ("edge", "Edge"),
                            ("other", "Other"),
                        ],
                        default="other",
                        max_length=20,
                    ),
                ),
                ("a_interface_name", models.CharField(blank=True, default="", max_length=100)),
                ("z_interface_name", models.CharField(blank=True, default="", max_length=100)),
                (
                    "capacity_bps",
                    models.PositiveBigIntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "a_device",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="links_a",
                        to="inventory.device",
                    ),
                ),
                (
                    "a_interface",
                    apps.tenancy.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="links_a",
                        to="inventory.interface",
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
                (
                    "z_device",
                    apps.tenancy.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="links_z",
                        to="inventory.device",
                    ),
                ),
                (
                    "z_interface",
                    apps.tenancy.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="links_z",
                        to="inventory.interface",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LoginApproval",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("address", models.GenericIPAddressField()),
                ("port", models.PositiveIntegerField()),
                ("tls", models.BooleanField()),
                ("credential_sets", models.JSONField(default=list)),
                ("agents", models.JSONField(default=list)),
                ("approved_by", models.JSONField()),
                ("approved_at", models.DateTimeField()),
                ("certificate", models.CharField(blank=True, default="", max_length=64)),
                ("certificate_at", models.DateTimeField(blank=True, null=True)),
                ("presented_certificate", models.CharField(blank=True, default="", max_length=64)),
                ("presented_at", models.DateTimeField(blank=True, null=True)),
                (
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="login_approvals",
                        to="inventory.device",
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
        migrations.CreateModel(
            name="OspfNeighbor",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[("operator", "Operator"), ("discovered", "Discovered")],
                        default="operator",
                        max_length=20,
                    ),
                ),
                ("operator_fields", models.JSONField(blank=True, default=list, editable=False)),
                ("last_seen_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("router_id", models.CharField(max_length=50, verbose_name="router ID")),
                ("area", models.CharField(blank=True, default="", max_length=100)),
                ("address", models.CharField(blank=True, default="", max_length=100)),
                ("interface_name", models.CharField(blank=True, default="", max_length=100)),
                ("instance", models.CharField(blank=True, default="", max_length=100)),
                (
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ospf_neighbors",
                        to="inventory.device",
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
            options={
                "verbose_name": "OSPF neighbor",
                "verbose_name_plural": "OSPF neighbors",
            },
        ),
        migrations.CreateModel(
            name="ProbeTarget",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=150)),
                (
                    "method",
                    models.CharField(
                        choices=[("udp_echo", "UDP echo"), ("tcp", "TCP connect")], max_length=20
                    ),
                ),
                ("address", models.GenericIPAddressField()),
                (
                    "port",
                    models.PositiveIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(65535),
                        ]
                    ),
                ),
                (
                    "interval_seconds",
                    models.PositiveIntegerField(
                        default=10,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(3600),
                        ],
                    ),
                ),
                (
                    "count",
                    models.PositiveIntegerField(
                        default=5,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "timeout_seconds",
                    models.FloatField(
                        default=1.0,
                        validators=[
                            django.core.validators.MinValueValidator(0.05),
                            django.core.validators.MaxValueValidator(30),
                        ],
                    ),
                ),
                (
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="probe_targets",
                        to="inventory.device",
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
        migrations.CreateModel(
            name="Service",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[("operator", "Operator"), ("discovered", "Discovered")],
                        default="operator",
                        max_length=20,
                    ),
                ),
                ("operator_fields", models.JSONField(blank=True, default=list, editable=False)),
                ("last_seen_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("name", models.CharField(max_length=150)),
                (
                    "kind",
                    models.CharField(
                        choices=[("pppoe", "PPPoE"), ("transit", "Transit"), ("other", "Other")],
                        default="other",
                        max_length=20,
                    ),
                ),
                (
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="services",
                        to="inventory.device",
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
        migrations.CreateModel(
            name="Site",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("code", models.CharField(blank=True, default="", max_length=20)),
                (
                    "latitude",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(-90),
                            django.core.validators.MaxValueValidator(90),
                        ],
                    ),
                ),
                (
                    "longitude",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(-180),
                            django.core.validators.MaxValueValidator(180),
                        ],
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
        migrations.AddField(
            model_name="device",
            name="site",
            field=apps.tenancy.fields.TenantForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="devices",
                to="inventory.site",
            ),
        ),
        migrations.CreateModel(
            name="SiteGrant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "content_object",
                    apps.tenancy.fields.TenantForeignKey(
                        db_column="site_id",
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="grants",
                        to="inventory.site",
                    ),
                ),
                (
                    "permission",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="auth.permission"
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
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="BgpPeer",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[("operator", "Operator"), ("discovered", "Discovered")],
                        default="operator",
                        max_length=20,
                    ),
                ),
                ("operator_fields", models.JSONField(blank=True, default=list, editable=False)),
                ("last_seen_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("name", models.CharField(blank=True, default="", max_length=100)),
                ("remote_address", models.CharField(max_length=100)),
                (
                    "remote_as",
                    models.BigIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(4294967295),
                        ],
                        verbose_name="remote AS",
                    ),
                ),
                (
                    "local_as",
                    models.BigIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(4294967295),
                        ],
                        verbose_name="local AS",
                    ),
                ),
                ("disabled", models.BooleanField(default=False)),
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
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="bgp_peers",
                        to="inventory.device",
                    ),
                ),
            ],
            options={
                "verbose_name": "BGP peer",
                "verbose_name_plural": "BGP peers",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("name", ""), _negated=True),
                        fields=("tenant", "device", "name"),
                        name="inventory_bgppeer_name_uniq",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("name", "")),
                        fields=("tenant", "device", "remote_address", "remote_as"),
                        name="inventory_bgppeer_remote_uniq",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("source__in", ["operator", "discovered"])),
                        name="inventory_bgppeer_source_ck",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DeviceCredential",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("position", models.PositiveSmallIntegerField()),
                (
                    "credential_set",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="fallback_devices",
                        to="vault.credentialset",
                    ),
                ),
                (
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fallback_credentials",
                        to="inventory.device",
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
            options={
                "ordering": ["position"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "device", "credential_set"),
                        name="inventory_devicecredential_set_uniq",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DeviceGrant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "content_object",
                    apps.tenancy.fields.TenantForeignKey(
                        db_column="device_id",
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="grants",
                        to="inventory.device",
                    ),
                ),
                (
                    "permission",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="auth.permission"
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
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "user", "permission", "content_object"),
                        name="inventory_devicegrant_uniq",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="EntityAlias",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("wire_id", models.UUIDField()),
                (
                    "entity_type",
                    models.CharField(
                        choices=[
                            ("site", "Site"),
                            ("device", "Device"),
                            ("interface", "Interface"),
                            ("link", "Link"),
                            ("bgp_peer", "BGP peer"),
                            ("ospf_neighbor", "OSPF neighbor"),
                            ("probe_target", "Probe target"),
                            ("service", "Service"),
                        ],
                        max_length=20,
                    ),
                ),
                ("entity_id", models.UUIDField()),
                (
                    "device",
                    apps.tenancy.fields.TenantForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="entity_aliases",
                        to="inventory.device",
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
            options={
                "indexes": [
                    models.Index(
                        fields=["tenant", "entity_type", "entity_id"],
                        name="inventory_entityalias_ref_idx",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "wire_id"), name="inventory_entityalias_wire_uniq"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "entity_type__in",
                                [
                                    "site",
                                    "device",
                                    "interface",
                                    "link",
                                    "bgp_peer",
                                    "ospf_neighbor",
                                    "probe_target",
                                    "service",
                                ],
                            )
                        ),
                        name="inventory_entityalias_type_ck",
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="interface",
            constraint=models.UniqueConstraint(
                fields=("tenant", "device", "name"), name="inventory_interface_name_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="interface",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ["operator", "discovered"])),
                name="inventory_interface_source_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="link",
            constraint=models.UniqueConstraint(
                fields=("tenant", "name"), name="inventory_link_name_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="link",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["ring", "backhaul", "access", "edge", "other"])),
                name="inventory_link_kind_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="link",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("z_device__isnull", True),
                    models.Q(("a_device", models.F("z_device")), _negated=True),
                    _connector="OR",
                ),
                name="inventory_link_ends_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="loginapproval",
            constraint=models.UniqueConstraint(
                fields=("tenant", "device"), name="inventory_loginapproval_device_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="loginapproval",
            constraint=models.CheckConstraint(
                condition=models.Q(("port__range", (1, 65535))),
                name="inventory_loginapproval_port_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="ospfneighbor",
            constraint=models.UniqueConstraint(
                fields=("tenant", "device", "router_id", "area", "address"),
                name="inventory_ospfneighbor_key_uniq",
            ),
        ),
        migrations.AddConstraint(
            model_name="ospfneighbor",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ["operator", "discovered"])),
                name="inventory_ospfneighbor_source_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="probetarget",
            constraint=models.UniqueConstraint(
                fields=("tenant", "name"), name="inventory_probetarget_name_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="probetarget",
            constraint=models.CheckConstraint(
                condition=models.Q(("method__in", ["udp_echo", "tcp"])),
                name="inventory_probetarget_method_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="probetarget",
            constraint=models.CheckConstraint(
                condition=models.Q(("port__range", (1, 65535))),
                name="inventory_probetarget_port_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="service",
            constraint=models.UniqueConstraint(
                condition=models.Q(("device__isnull", False)),
                fields=("tenant", "device", "kind", "name"),
                name="inventory_service_device_name_uniq",
            ),
        ),
        migrations.AddConstraint(
            model_name="service",
            constraint=models.UniqueConstraint(
                condition=models.Q(("device__isnull", True)),
                fields=("tenant", "kind", "name"),
                name="inventory_service_name_uniq",
            ),
        ),
        migrations.AddConstraint(
            model_name="service",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["pppoe", "transit", "other"])),
                name="inventory_service_kind_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="service",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ["operator", "discovered"])),
                name="inventory_service_source_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="site",
            constraint=models.UniqueConstraint(
                fields=("tenant", "name"), name="inventory_site_name_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="site",
            constraint=models.UniqueConstraint(
                condition=models.Q(("code", ""), _negated=True),
                fields=("tenant", "code"),
                name="inventory_site_code_uniq",
            ),
        ),
        migrations.AddConstraint(
            model_name="site",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("latitude__isnull", True), ("latitude__range", (-90, 90)), _connector="OR"
                ),
                name="inventory_site_latitude_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="site",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("longitude__isnull", True), ("longitude__range", (-180, 180)), _connector="OR"
                ),
                name="inventory_site_longitude_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="device",
            constraint=models.UniqueConstraint(
                fields=("tenant", "name"), name="inventory_device_name_uniq"
            ),
        ),
        migrations.AddConstraint(
            model_name="device",
            constraint=models.CheckConstraint(
                condition=models.Q(("role__in", ["core", "edge", "agg", "bng", "access", "other"])),
                name="inventory_device_role_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="device",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ["operator", "discovered"])),
                name="inventory_device_source_ck",
            ),
        ),
        migrations.AddConstraint(
            model_name="device",
            constraint=models.CheckConstraint(
                condition=models.Q(("api_port__range", (1, 65535))), name="inventory_device_port_ck"
            ),
        ),
        migrations.AddConstraint(
            model_name="sitegrant",
            constraint=models.UniqueConstraint(
                fields=("tenant", "user", "permission", "content_object"),
                name="inventory_sitegrant_uniq",
            ),
        ),
        IsolateTenantTable("Site"),
        IsolateTenantTable("Device"),
        IsolateTenantTable("Interface"),
        IsolateTenantTable("Link"),
        IsolateTenantTable("BgpPeer"),
        IsolateTenantTable("OspfNeighbor"),
        IsolateTenantTable("ProbeTarget"),
        IsolateTenantTable("Service"),
        IsolateTenantTable("EntityAlias"),
        IsolateTenantTable("SiteGrant"),
        IsolateTenantTable("DeviceGrant"),
        IsolateTenantTable("DeviceCredential"),
        IsolateTenantTable("LoginApproval"),
        CompositeForeignKey("Device", "site", "RESTRICT"),
        CompositeForeignKey("Device", "credential_set", "RESTRICT"),
        CompositeForeignKey("Interface", "device"),
        CompositeForeignKey("Link", "a_device"),
        CompositeForeignKey("Link", "z_device"),
        CompositeForeignKey("Link", "a_interface", "SET NULL (a_interface_id)"),
        CompositeForeignKey("Link", "z_interface", "SET NULL (z_interface_id)"),
        CompositeForeignKey("BgpPeer", "device"),
        CompositeForeignKey("OspfNeighbor", "device"),
        CompositeForeignKey("ProbeTarget", "device"),
        CompositeForeignKey("Service", "device"),
        CompositeForeignKey("EntityAlias", "device"),
        CompositeForeignKey("SiteGrant", "content_object"),
        CompositeForeignKey("DeviceGrant", "content_object"),
        CompositeForeignKey("DeviceCredential", "device"),
        CompositeForeignKey("DeviceCredential", "credential_set", "RESTRICT"),
        CompositeForeignKey("LoginApproval", "device"),
        member_key("inventory_sitegrant"),
        member_key("inventory_devicegrant"),
    ]
