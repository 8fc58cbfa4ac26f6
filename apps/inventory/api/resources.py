"""Sites, devices, interfaces, links, sessions, probe targets, services."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from apps.authorization.permissions import Permission
from apps.inventory import services
from apps.inventory.api import serializers
from apps.inventory.api.base import CreateRow, DeleteRow, InventoryViewSet, UpdateRow
from apps.inventory.api.logins import DeviceLogins
from apps.inventory.models import (
    BgpPeer,
    Device,
    Interface,
    Link,
    OspfNeighbor,
    ProbeTarget,
    Service,
    Site,
)


class SiteViewSet(CreateRow, UpdateRow, DeleteRow):
    """Sites."""

    model = Site
    serializer_class = serializers.SiteSerializer
    filters = {"name": "name", "code": "code"}
    orderings = ("name", "code")
    row_name = "site"
    create_row, update_row, delete_row = (
        services.create_site,
        services.update_site,
        services.delete_site,
    )


class DeviceViewSet(DeviceLogins, CreateRow, UpdateRow, DeleteRow):
    """Devices, with their discovered interfaces, sessions and services."""

    model = Device
    serializer_class = serializers.DeviceSerializer
    filters = {"name": "name", "site": "site", "role": "role"}
    orderings = ("name", "role")
    row_name = "device"
    create_row, update_row, delete_row = (
        services.create_device,
        services.update_device,
        services.delete_device,
    )
    fresh_sign_in = frozenset({"set_credentials", *DeviceLogins.decisions})
    etag_ignores = frozenset({"last_seen_at", "login_state"})
    permission_map = {
        **InventoryViewSet.permission_map,
        **DeviceLogins.login_permissions,
        "interfaces": Permission.INVENTORY_VIEW,
        "bgp_peers": Permission.INVENTORY_VIEW,
        "ospf_neighbors": Permission.INVENTORY_VIEW,
        "default_probe_targets": Permission.INVENTORY_CHANGE,
        "credentials": Permission.DIAGNOSTICS_RUN,
        "set_credentials": Permission.CREDENTIALS_MANAGE,
    }

    @extend_schema(responses=serializers.InterfaceSerializer(many=True))
    @action(detail=True)
    def interfaces(self, request: Request, pk: str) -> Response:
        """The device's interfaces."""
        return self._list_related("interfaces", serializers.InterfaceSerializer)

    @extend_schema(responses=serializers.BgpPeerSerializer(many=True))
    @action(detail=True, url_path="bgp-peers")
    def bgp_peers(self, request: Request, pk: str) -> Response:
        """The device's BGP sessions."""
        return self._list_related("bgp_peers", serializers.BgpPeerSerializer)

    @extend_schema(responses=serializers.OspfNeighborSerializer(many=True))
    @action(detail=True, url_path="ospf-neighbors")
    def ospf_neighbors(self, request: Request, pk: str) -> Response:
        """The device's OSPF adjacencies."""
        return self._list_related("ospf_neighbors", serializers.OspfNeighborSerializer)

    @extend_schema(
        request=serializers.DefaultProbesSerializer,
        responses={201: serializers.ProbeTargetSerializer(many=True)},
    )
    @action(detail=True, methods=["post"], url_path="default-probe-targets", pagination_class=None)
    def default_probe_targets(self, request: Request, pk: str) -> Response:
        """Create the default probe targets of the device. Existing ones are unchanged."""
        device = self.get_object()
        serializer = serializers.DefaultProbesSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        targets = self.write(
            services.create_default_probe_targets, device=device, **serializer.validated_data
        )
        body = serializers.ProbeTargetSerializer(targets, many=True).data
        return Response(body, status=status.HTTP_201_CREATED)

    @extend_schema(responses=serializers.DeviceCredentialsSerializer)
    @action(detail=True)
    def credentials(self, request: Request, pk: str) -> Response:
        """The device's credential sets, in the order in which they are tried."""
        return self._credentials(self.get_object())

    @extend_schema(
        request=serializers.DeviceCredentialsSerializer,
        responses=serializers.DeviceCredentialsSerializer,
    )
    @credentials.mapping.put
    def set_credentials(self, request: Request, pk: str) -> Response:
        """Set the device's credential sets, in the order in which they are tried."""
        device = self.get_object()
        serializer = serializers.DeviceCredentialsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        self.write(services.set_device_credentials, device=device, **serializer.validated_data)
        return self._credentials(device)

    def _credentials(self, device: Device) -> Response:
        rows = services.credentials_of([device.pk]).get(device.pk, [])
        return Response({"results": serializers.DeviceLoginSerializer(rows, many=True).data})

    def _list_related(self, relation: str, serializer: type[BaseSerializer[Any]]) -> Response:
        page = self.paginate_queryset(getattr(self.get_object(), relation).all())
        return self.get_paginated_response(serializer(page, many=True).data)


class InterfaceViewSet(UpdateRow, DeleteRow):
    """Interfaces: discovered; operators may override speed and comment."""

    model = Interface
    serializer_class = serializers.InterfaceSerializer
    filters = {"device": "device", "name": "name"}
    orderings = ("name",)
    row_name = "interface"
    update_row = services.update_interface

    def destroy(self, request: Request, pk: str) -> Response:
        self.write(services.delete_discovered, row=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class BgpPeerViewSet(CreateRow, DeleteRow):
    """BGP sessions, discovered or expected."""

    model = BgpPeer
    serializer_class = serializers.BgpPeerSerializer
    filters = {"device": "device"}
    row_name = "row"
    create_row, delete_row = services.create_bgp_peer, services.delete_discovered


class OspfNeighborViewSet(CreateRow, DeleteRow):
    """OSPF adjacencies, discovered or expected."""

    model = OspfNeighbor
    serializer_class = serializers.OspfNeighborSerializer
    filters = {"device": "device"}
    row_name = "row"
    create_row, delete_row = services.create_ospf_neighbor, services.delete_discovered


class LinkViewSet(CreateRow, UpdateRow, DeleteRow):
    """Links between devices."""

    model = Link
    serializer_class = serializers.LinkSerializer
    filters = {"name": "name", "kind": "kind", "a_device": "a_device", "z_device": "z_device"}
    orderings = ("name", "kind")
    row_name = "link"
    create_row, update_row, delete_row = (
        services.create_link,
        services.update_link,
        services.delete_link,
    )


class ProbeTargetViewSet(CreateRow, UpdateRow, DeleteRow):
    """Addresses that agents probe."""

    model = ProbeTarget
    serializer_class = serializers.ProbeTargetSerializer
    filters = {"device": "device", "method": "method"}
    orderings = ("name",)
    row_name = "target"
    create_row, update_row, delete_row = (
        services.create_probe_target,
        services.update_probe_target,
        services.delete_probe_target,
    )


class ServiceViewSet(CreateRow, UpdateRow, DeleteRow):
    """Customer services."""

    model = Service
    serializer_class = serializers.ServiceSerializer
    filters = {"device": "device", "kind": "kind"}
    orderings = ("name",)
    row_name = "service"
    create_row, update_row, delete_row = (
        services.create_service,
        services.update_service,
        services.delete_service,
    )
