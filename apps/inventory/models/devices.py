from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agent.collectors.facts import CollectorFacts
from agent.collectors.registry import DEFAULT, facts_of
from apps.inventory.choices import DeviceRole, Source, collector_choices
from apps.inventory.models.discovered import DiscoverableModel
from apps.inventory.models.sites import Site
from apps.inventory.profiles import validate_polling_profile, validate_tags
from apps.tenancy.fields import TenantForeignKey

PORT = [MinValueValidator(1), MaxValueValidator(65535)]


class Device(DiscoverableModel):
    """A router. Created by operators; agents fill in the polled system information."""

    name = models.CharField(max_length=100)
    site = TenantForeignKey(Site, on_delete=models.PROTECT, related_name="devices")
    role = models.CharField(max_length=20, choices=DeviceRole.choices, default=DeviceRole.OTHER)
    # The vendor and protocol by which agents poll it: a folder of ``agent.collectors``.
    collector = models.CharField(
        max_length=30, choices=collector_choices, default=DEFAULT, db_default=DEFAULT
    )
    management_address = models.GenericIPAddressField()
    api_port = models.PositiveIntegerField(
        _("API port"),
        default=facts_of(DEFAULT).port,
        validators=PORT,
        blank=True,
        help_text=_("Empty: the default port of the collector."),
    )
    api_tls = models.BooleanField(_("API TLS"), default=False)
    credential_set = TenantForeignKey(
        "vault.CredentialSet",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="devices",
    )
    # The credential set of the last successful login, as the agent reported it. Not a foreign key: it may be deleted.
    working_credential_set = models.UUIDField(null=True, blank=True, editable=False)
    # Seconds between polls per tier, where they differ from ``profiles.DEFAULT_PROFILE``.
    polling_profile = models.JSONField(
        default=dict, blank=True, validators=[validate_polling_profile]
    )
    tags = models.JSONField(default=list, blank=True, validators=[validate_tags])

    identity = models.CharField(max_length=200, blank=True, default="")
    version = models.CharField(max_length=100, blank=True, default="")
    board_name = models.CharField(max_length=100, blank=True, default="")
    model = models.CharField(max_length=100, blank=True, default="")
    serial = models.CharField(max_length=100, blank=True, default="")
    discovered_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="inventory_device_name_uniq"),
            models.CheckConstraint(
                condition=Q(role__in=DeviceRole.values), name="inventory_device_role_ck"
            ),
            models.CheckConstraint(
                condition=Q(source__in=Source.values), name="inventory_device_source_ck"
            ),
            models.CheckConstraint(
                condition=Q(api_port__range=(1, 65535)), name="inventory_device_port_ck"
            ),
            # The form only: the names are those of the installed collectors.
            models.CheckConstraint(
                condition=Q(collector__regex=r"^[a-z][a-z0-9_]*$"),
                name="inventory_device_collector_ck",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def collector_facts(self) -> CollectorFacts:
        """How its vendor and protocol are named, reached and logged in to."""
        return facts_of(self.collector)


class Interface(DiscoverableModel):
    """An interface of a router, physical or virtual, as polled."""

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="interfaces")
    name = models.CharField(max_length=100)
    # The vendor's type name: ether, vlan, bridge, pppoe-in ...
    type = models.CharField(max_length=50, blank=True, default="")
    mac_address = models.CharField(_("MAC address"), max_length=17, blank=True, default="")
    comment = models.CharField(max_length=500, blank=True, default="")
    disabled = models.BooleanField(default=False)
    mtu = models.PositiveIntegerField(_("MTU"), null=True, blank=True)
    speed_bps = models.PositiveBigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "device", "name"], name="inventory_interface_name_uniq"
            ),
            models.CheckConstraint(
                condition=Q(source__in=Source.values), name="inventory_interface_source_ck"
            ),
        ]

    def __str__(self) -> str:
        return self.name
