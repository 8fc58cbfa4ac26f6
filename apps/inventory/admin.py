"""The inventory in the admin."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from apps.authorization.actors import Actor
from apps.authorization.permissions import Permission
from apps.backoffice.base import TenantAdmin
from apps.backoffice.site import admin_site
from apps.inventory import services
from apps.inventory.choices import LoginState
from apps.inventory.destinations import login_status
from apps.inventory.models import (
    BgpPeer,
    Device,
    DeviceGrant,
    Interface,
    Link,
    OspfNeighbor,
    ProbeTarget,
    Service,
    Site,
    SiteGrant,
)

POLLED_FIELDS = ("source", "last_seen_at")
LAST_POLLED: Any = (_lazy("Last polled"), {"fields": POLLED_FIELDS})


class InventoryAdmin(TenantAdmin):
    """Shared permissions and fields of the inventory's admin pages."""

    view_permission = Permission.INVENTORY_VIEW
    manage_permission = Permission.INVENTORY_CHANGE
    readonly_fields: ClassVar[Any] = POLLED_FIELDS


@admin.register(Site, site=admin_site)
class SiteAdmin(InventoryAdmin):
    """Sites."""

    can_add = can_change = can_delete = True
    entity_type = "site"
    readonly_fields = ()
    add_fields = ("name", "code", "latitude", "longitude")
    fieldsets = (
        (None, {"fields": ("name", "code")}),
        (_lazy("Coordinates"), {"fields": (("latitude", "longitude"),)}),
    )
    list_display = ("name", "code", "latitude", "longitude")
    list_filter = (("latitude", admin.EmptyFieldListFilter),)
    search_fields = ("name", "code")
    ordering = ("name",)

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> Site:
        return services.create_site(**values, actor=actor, at=at)

    def change(self, row: Site, changes: Mapping[str, Any], *, actor: Actor, at: datetime) -> None:
        services.update_site(site=row, changes=changes, actor=actor, at=at)

    def remove(self, row: Site, *, actor: Actor, at: datetime) -> None:
        services.delete_site(site=row, actor=actor, at=at)


@admin.register(Device, site=admin_site)
class DeviceAdmin(InventoryAdmin):
    """Devices: connection and credentials."""

    can_add = can_change = can_delete = True
    entity_type = "device"
    readonly_fields = (
        *("identity", "version", "board_name", "model", "serial"),
        *("source", "discovered_at", "last_seen_at"),
    )
    _CONNECTION_FIELDS: ClassVar[tuple[str, ...]] = (
        *(
            "collector",
            "management_address",
            "api_port",
            "api_tls",
            "credential_set",
            "polling_profile",
        ),
    )
    add_fields = ("name", "site", "role", *_CONNECTION_FIELDS, "tags")
    fieldsets = (
        (None, {"fields": ("name", "site", "role", "tags")}),
        (_lazy("Connection"), {"fields": _CONNECTION_FIELDS}),
        (
            _lazy("System information"),
            {"fields": ("identity", "version", "board_name", "model", "serial")},
        ),
        (_lazy("Last polled"), {"fields": ("source", "discovered_at", "last_seen_at")}),
    )
    autocomplete_fields = ("site", "credential_set")
    list_display = ("name", "role", "site", "management_address", "credential_set", "version")
    list_filter = ("role", "collector", "api_tls", ("credential_set", admin.EmptyFieldListFilter))
    list_select_related = ("site", "credential_set")
    search_fields = ("name", "management_address", "identity", "serial")
    ordering = ("name",)

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> Device:
        return services.create_device(**values, actor=actor, at=at)

    def change(
        self, row: Device, changes: Mapping[str, Any], *, actor: Actor, at: datetime
    ) -> None:
        services.update_device(device=row, changes=changes, actor=actor, at=at)

    def remove(self, row: Device, *, actor: Actor, at: datetime) -> None:
        services.delete_device(device=row, actor=actor, at=at)

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        return {"api_port": None, **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if login_status(Device.objects.get(pk=obj.pk)).state == LoginState.HELD:
            warning = _("The login is held: approve its destination on the device page.")
            self.message_user(request, warning, messages.WARNING)

    def deleted_with(self, row: Device) -> list[str]:
        ports = Interface.objects.filter(device=row).count()
        links = Link.objects.filter(Q(a_device=row) | Q(z_device=row)).count()
        return [
            ngettext("%(n)d interface", "%(n)d interfaces", ports) % {"n": ports},
            ngettext("%(n)d link", "%(n)d links", links) % {"n": links},
            _("its routing sessions, services and probe targets"),
        ]


class DeviceEntityAdmin(InventoryAdmin):
    """Entities that belong to a device."""

    autocomplete_fields = ("device",)
    list_select_related = ("device",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Device names are searched in the device table, not by a join from 100,000 interfaces."""
        fields = [name for name in self.search_fields if name != "device__name"]
        for word in search_term.split():
            devices = Device.objects.filter(name__icontains=word).values("pk")
            condition = Q(device__in=devices)
            for name in fields:
                condition |= Q(**{f"{name}__icontains": word})
            queryset = queryset.filter(condition)
        return queryset, False


@admin.register(Interface, site=admin_site)
class InterfaceAdmin(DeviceEntityAdmin):
    """Interfaces as polled; operators may override speed and comment."""

    can_change = can_delete = True
    entity_type = "interface"
    readonly_fields = (
        "device",
        "name",
        "type",
        "mac_address",
        "disabled",
        "mtu",
        *POLLED_FIELDS,
    )
    fieldsets = (
        (None, {"fields": ("device", "name", "type", "mac_address", "disabled", "mtu")}),
        (_lazy("Overrides"), {"fields": ("speed_bps", "comment")}),
        LAST_POLLED,
    )
    list_display = ("name", "device", "type", "speed_bps", "disabled", "source", "last_seen_at")
    list_filter = ("source", "disabled")
    search_fields = ("name", "device__name", "comment", "mac_address")
    # Matches the index: no sort of 100,000 rows is needed.
    ordering = ("device_id", "name")

    def change(
        self, row: Interface, changes: Mapping[str, Any], *, actor: Actor, at: datetime
    ) -> None:
        services.update_interface(interface=row, changes=changes, actor=actor, at=at)

    def remove(self, row: Interface, *, actor: Actor, at: datetime) -> None:
        services.delete_discovered(row=row, actor=actor, at=at)


@admin.register(Link, site=admin_site)
class LinkAdmin(InventoryAdmin):
    """Links; an end is bound to its interface once that is discovered."""

    can_add = can_change = can_delete = True
    entity_type = "link"
    readonly_fields = ("a_interface", "z_interface")
    add_fields = (
        *("name", "kind", "a_device", "a_interface_name", "z_device", "z_interface_name"),
        "capacity_bps",
    )
    fieldsets = (
        (None, {"fields": ("name", "kind", "capacity_bps")}),
        (_lazy("A end"), {"fields": ("a_device", "a_interface_name", "a_interface")}),
        (_lazy("Z end"), {"fields": ("z_device", "z_interface_name", "z_interface")}),
    )
    autocomplete_fields = ("a_device", "z_device")
    list_display = ("name", "kind", "a_device", "a_interface_name", "z_device", "capacity_bps")
    list_filter = ("kind", ("z_device", admin.EmptyFieldListFilter))
    list_select_related = ("a_device", "z_device")
    search_fields = ("name", "a_device__name", "z_device__name")
    ordering = ("name",)

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> Link:
        return services.create_link(**values, actor=actor, at=at)

    def change(self, row: Link, changes: Mapping[str, Any], *, actor: Actor, at: datetime) -> None:
        services.update_link(link=row, changes=changes, actor=actor, at=at)

    def remove(self, row: Link, *, actor: Actor, at: datetime) -> None:
        services.delete_link(link=row, actor=actor, at=at)


@admin.register(BgpPeer, site=admin_site)
class BgpPeerAdmin(DeviceEntityAdmin):
    """BGP sessions, discovered or expected."""

    can_add = can_delete = True
    entity_type = "bgp_peer"
    add_fields = ("device", "name", "remote_address", "remote_as", "local_as")
    fieldsets = (
        (
            None,
            {"fields": ("device", "name", "remote_address", "remote_as", "local_as", "disabled")},
        ),
        LAST_POLLED,
    )
    list_display = ("__str__", "device", "remote_address", "remote_as", "disabled", "source")
    list_filter = ("source", "disabled")
    search_fields = ("name", "device__name", "remote_address")
    ordering = ("device_id", "name")

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> BgpPeer:
        return services.create_bgp_peer(**values, actor=actor, at=at)

    def remove(self, row: BgpPeer, *, actor: Actor, at: datetime) -> None:
        services.delete_discovered(row=row, actor=actor, at=at)


@admin.register(OspfNeighbor, site=admin_site)
class OspfNeighborAdmin(DeviceEntityAdmin):
    """OSPF adjacencies, discovered or expected."""

    can_add = can_delete = True
    entity_type = "ospf_neighbor"
    add_fields = ("device", "router_id", "area", "address", "interface_name")
    fieldsets = (
        (
            None,
            {"fields": ("device", "router_id", "area", "address", "interface_name", "instance")},
        ),
        LAST_POLLED,
    )
    list_display = ("router_id", "device", "area", "address", "interface_name", "source")
    list_filter = ("source",)
    search_fields = ("router_id", "device__name", "address")
    ordering = ("device_id", "router_id")

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> OspfNeighbor:
        return services.create_ospf_neighbor(**values, actor=actor, at=at)

    def remove(self, row: OspfNeighbor, *, actor: Actor, at: datetime) -> None:
        services.delete_discovered(row=row, actor=actor, at=at)


@admin.register(ProbeTarget, site=admin_site)
class ProbeTargetAdmin(DeviceEntityAdmin):
    """Addresses that agents probe."""

    can_add = can_change = can_delete = True
    entity_type = "probe_target"
    readonly_fields = ()
    add_fields = (
        *("name", "device", "method", "address", "port"),
        *("interval_seconds", "count", "timeout_seconds"),
    )
    fieldsets = (
        (None, {"fields": ("name", "device", "method", "address", "port")}),
        (_lazy("Interval"), {"fields": ("interval_seconds", "count", "timeout_seconds")}),
    )
    list_display = ("name", "device", "method", "address", "port", "interval_seconds")
    list_filter = ("method",)
    search_fields = ("name", "device__name", "address")
    ordering = ("name",)

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> ProbeTarget:
        return services.create_probe_target(**values, actor=actor, at=at)

    def change(
        self, row: ProbeTarget, changes: Mapping[str, Any], *, actor: Actor, at: datetime
    ) -> None:
        services.update_probe_target(target=row, changes=changes, actor=actor, at=at)

    def remove(self, row: ProbeTarget, *, actor: Actor, at: datetime) -> None:
        services.delete_probe_target(target=row, actor=actor, at=at)


@admin.register(Service, site=admin_site)
class ServiceAdmin(DeviceEntityAdmin):
    """Customer services."""

    can_add = can_change = can_delete = True
    entity_type = "service"
    add_fields = ("name", "kind", "device")
    fieldsets = ((None, {"fields": ("name", "kind", "device")}), LAST_POLLED)
    list_display = ("name", "kind", "device", "source", "last_seen_at")
    list_filter = ("kind", "source")
    search_fields = ("name", "device__name")
    ordering = ("name",)

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> Service:
        return services.create_service(**values, actor=actor, at=at)

    def change(
        self, row: Service, changes: Mapping[str, Any], *, actor: Actor, at: datetime
    ) -> None:
        services.update_service(service=row, changes=changes, actor=actor, at=at)

    def remove(self, row: Service, *, actor: Actor, at: datetime) -> None:
        services.delete_service(service=row, actor=actor, at=at)


class GrantAdmin(TenantAdmin):
    """Objects that limited members may see. Granted by the REST API; listed and revoked here."""

    view_permission = Permission.MEMBERS_VIEW
    manage_permission = Permission.MEMBERS_MANAGE
    fresh_sign_in = True
    can_delete = True
    entity_type = "user"
    fields = ("person", "content_object")
    readonly_fields = ("person",)
    list_display = ("person", "content_object")
    list_select_related = ("user", "content_object")
    search_fields = ("user__email", "content_object__name")
    ordering = ("user__email",)

    @admin.display(description=_lazy("Person"), ordering="user__email")
    def person(self, row: SiteGrant | DeviceGrant) -> str:
        return row.user.label

    def remove(self, row: SiteGrant | DeviceGrant, *, actor: Actor, at: datetime) -> None:
        services.revoke_grant(grant=row, actor=actor, at=at)

    def audited_id(self, row: SiteGrant | DeviceGrant) -> str:
        return str(row.user_id)


admin_site.register(SiteGrant, GrantAdmin)
admin_site.register(DeviceGrant, GrantAdmin)
