"""Routing sessions, discovered or expected."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.inventory.choices import Source
from apps.inventory.models.devices import Device
from apps.inventory.models.discovered import DiscoverableModel
from apps.tenancy.fields import TenantForeignKey

AS_NUMBER = [MinValueValidator(0), MaxValueValidator(2**32 - 1)]


class BgpPeer(DiscoverableModel):
    """A BGP session of a router: identified by its name, without one by address and AS."""

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="bgp_peers")
    name = models.CharField(max_length=100, blank=True, default="")
    remote_address = models.CharField(max_length=100)
    remote_as = models.BigIntegerField(_("remote AS"), validators=AS_NUMBER)
    local_as = models.BigIntegerField(_("local AS"), null=True, blank=True, validators=AS_NUMBER)
    disabled = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("BGP peer")
        verbose_name_plural = _("BGP peers")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "device", "name"],
                condition=~Q(name=""),
                name="inventory_bgppeer_name_uniq",
            ),
            models.UniqueConstraint(
                fields=["tenant", "device", "remote_address", "remote_as"],
                condition=Q(name=""),
                name="inventory_bgppeer_remote_uniq",
            ),
            models.CheckConstraint(
                condition=Q(source__in=Source.values), name="inventory_bgppeer_source_ck"
            ),
        ]

    def __str__(self) -> str:
        return self.format_label(self.name, self.remote_address, self.remote_as)

    @staticmethod
    def format_label(name: str, remote_address: str, remote_as: int) -> str:
        """The label of a session with these columns."""
        return name or f"{remote_address} AS{remote_as}"


class OspfNeighbor(DiscoverableModel):
    """An OSPF adjacency of a router.

    Parallel links share a router id, so the neighbor's address is part of the key. RouterOS 7 names no
    interface on point-to-point networks, and drops the row when its interface goes down.
    """

    device = TenantForeignKey(Device, on_delete=models.CASCADE, related_name="ospf_neighbors")
    router_id = models.CharField(_("router ID"), max_length=50)
    area = models.CharField(max_length=100, blank=True, default="")
    address = models.CharField(max_length=100, blank=True, default="")
    interface_name = models.CharField(max_length=100, blank=True, default="")
    instance = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        verbose_name = _("OSPF neighbor")
        verbose_name_plural = _("OSPF neighbors")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "device", "router_id", "area", "address"],
                name="inventory_ospfneighbor_key_uniq",
            ),
            models.CheckConstraint(
                condition=Q(source__in=Source.values), name="inventory_ospfneighbor_source_ck"
            ),
        ]

    def __str__(self) -> str:
        return self.format_label(self.router_id, self.address)

    @staticmethod
    def format_label(router_id: str, address: str) -> str:
        """The label of an adjacency with these columns."""
        return f"{router_id} {address}"
