"""Sites, devices, interfaces, links, sessions, probe targets, services."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from apps.authorization.permissions import Permission
from apps.inventory import services
from apps.inventory.api import serializers
from apps.inventory.api.base import InventoryViewSet
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
from apps.rest.views import PartialUpdateMixin


class SiteViewSet(
    mixins.CreateModelMixin, PartialUpdateMixin, mixins.DestroyModelMixin, InventoryViewSet
):
    """Sites."""

    model = Site
    serializer_class = serializers.SiteSerializer
    filters = {"name": "name", "code": "code"}
    orderings = ("name", "code")

    def perform_create(self, serializer: Any) -> None:
        serializer.instance = services.create_site(
            **serializer.validated_data, **self.actor_and_time()
        )

    def perform_update(self, serializer: Any) -> None:
        serializer.instance = services.update_site(
            site=serializer.instance, changes=serializer.validated_data, **self.actor_and_time()
        )

    def perform_destroy(self, instance: Site) -> None:
        services.delete_site(site=instance, **self.actor_and_time())


class DeviceViewSet(
    DeviceLogins, mixins.CreateModelMixin, PartialUpdateMixin, mixins.DestroyModelMixin
):
    """Devices, with their discovered interfaces, sessions and services."""

    model = Device
    serializer_class = serializers.DeviceSerializer
    filters = {"name": "name", "site": "site", "role": "role", "collector": "collector"}
    orderings = ("name", "role")
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

    def perform_create(self, serializer: Any) -> None:
        serializer.instance = services.create_device(
            **serializer.validated_data, **self.actor_and_time()
        )

    def perform_update(self, serializer: Any) -> None:
        serializer.instance = services.update_device(
            device=serializer.instance, changes=serializer.validated_data, **self.actor_and_time()
        )

    def perform_destroy(self, instance: Device) -> None:
        services.delete_device(device=instance, **self.actor_and_time())

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
        targets = services.create_default_probe_targets(
            device=device, **serializer.validated_data, **self.actor_and_time()
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
        services.set_device_credentials(
            device=device, **serializer.validated_data, **self.actor_and_time()
        )
        return self._credentials(device)

    def _credentials(self, device: Device) -> Response:
        rows = services.credentials_of([device.pk]).get(device.pk, [])
        return Response({"results": serializers.DeviceLoginSerializer(rows, many=True).data})

    def _list_related(self, relation: str, serializer: type[BaseSerializer[Any]]) -> Response:
        page = self.paginate_queryset(getattr(self.get_object(), relation).all())
        return self.get_paginated_response(serializer(page, many=True).data)


class InterfaceViewSet(PartialUpdateMixin, mixins.DestroyModelMixin, InventoryViewSet):
    """Interfaces: discovered; operators may override speed and comment."""

    model = Interface
    serializer_class = serializers.InterfaceSerializer
    filters = {"device": "device", "name": "name"}
    orderings = ("name",)

    def perform_update(self, serializer: Any) -> None:
        serializer.instance = services.update_interface(
            interface=serializer.instance,
            changes=serializer.validated_data,
            **self.actor_and_time(),
        )

    def perform_destroy(self, instance: Interface) -> None:
        services.delete_discovered(row=instance, **self.actor_and_time())


class BgpPeerViewSet(mixins.CreateModelMixin, mixins.DestroyModelMixin, InventoryViewSet):
    """BGP sessions, discovered or expected."""

    model = BgpPeer
    serializer_class = serializers.BgpPeerSerializer
    filters = {"device": "device"}

    def perform_create(self, serializer: Any) -> None:
        serializer.instance = services.create_bgp_peer(
            **serializer.validated_data, **self.actor_and_time()
        )

    def perform_destroy(self, instance: BgpPeer) -> None:
        services.delete_discovered(row=instance, **self.actor_and_time())


class OspfNeighborViewSet(mixins.CreateModelMixin, mixins.DestroyModelMixin, InventoryViewSet):
    """OSPF adjacencies, discovered or expected."""

    model = OspfNeighbor
    serializer_class = serializers.OspfNeighborSerializer
    filters = {"device": "device"}

    def perform_create(self, serializer: Any) -> None:
        serializer.instance = services.create_ospf_neighbor(
            **serializer.validated_data, **self.actor_and_time()
        )

    def perform_destroy(self, instance: OspfNeighbor) -> None:
        services.delete_discovered(row=instance, **self.actor_and_time())


class LinkViewSet(
    mixins.CreateModelMixin, PartialUpdateMixin, mixins.DestroyModelMixin, InventoryViewSet
):
    """Links between devices."""

    model = Link
    serializer_class = serializers.LinkSerializer
    filters = {"name": "name", "kind": "kind", "a_device": "a_device", "z_device": "z_device"}
    orderings = ("name", "kind")

    def perform_create(self, serializer: Any) -> None:
        serializer.instance = services.create_link(
            **serializer.validated_data, **self.actor_and_time()
        )

    def perform_update(self, serializer: Any) -> None:
        serializer.instance = services.update_link(
            link=serializer.instance, changes=serializer.validated_data, **self.actor_and_time()
        )

    def perform_destroy(self, instance: Link) -> None:
        services.delete_link(link=instance, **self.actor_and_time())


class ProbeTargetViewSet(
    mixins.CreateModelMixin, PartialUpdateMixin, mixins.DestroyModelMixin, InventoryViewSet
):
    """Addresses that agents probe."""

    model = ProbeTarget
    serializer_class = serializers.ProbeTargetSerializer
    filters = {"device": "device", "method": "method"}
    orderings = ("name",)

    def perform_create(self, serializer: Any) -> None:
        serializer.instance = services.create_probe_target(
            **serializer.validated_data, **self.actor_and_time()
        )

    def perform_update(self, serializer: Any) -> None:
        serializer.instance = services.update_probe_target(
            target=serializer.instance, changes=serializer.validated_data, **self.actor_and_time()
        )

    def perform_destroy(self, instance: ProbeTarget) -> None:
        services.delete_probe_target(target=instance, **self.actor_and_time())


class ServiceViewSet(
    mixins.CreateModelMixin, PartialUpdateMixin, mixins.DestroyModelMixin, InventoryViewSet
):
    """Customer services."""

    model = Service
    serializer_class = serializers.ServiceSerializer
    filters = {"device": "device", "kind": "kind"}
    orderings = ("name",)

    def perform_create(self, serializer: Any) -> None:
        serializer.instance = services.create_service(
            **serializer.validated_data, **self.actor_and_time()
        )

    def perform_update(self, serializer: Any) -> None:
        serializer.instance = services.update_service(
            service=serializer.instance, changes=serializer.validated_data, **self.actor_and_time()
        )

    def perform_destroy(self, instance: Service) -> None:
        services.delete_service(service=instance, **self.actor_and_time())
