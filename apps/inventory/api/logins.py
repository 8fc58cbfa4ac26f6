"""`devices/*/login` and its like: where logins go, and deciding on it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.inventory import services
from apps.inventory.api import serializers
from apps.inventory.api.base import InventoryViewSet
from apps.inventory.destinations import (
    LoginStatus,
    devices_that_need_a_decision,
    login_status,
    login_statuses,
)
from apps.inventory.models import Device


class DeviceLogins(InventoryViewSet):
    """The part of devices that is about their logins."""

    #: Acts that decide where logins are sent.
    decisions: ClassVar[frozenset[str]] = frozenset(
        {"approve_login", "approve_logins", "accept_certificate"}
    )
    login_permissions: ClassVar[Mapping[str, Permission]] = {
        "login": Permission.DIAGNOSTICS_RUN,
        "held_logins": Permission.DIAGNOSTICS_RUN,
        **dict.fromkeys(decisions, Permission.CREDENTIALS_MANAGE),
    }
    _login_statuses: Mapping[UUID, LoginStatus] | None = None

    def paginate_queryset(self, queryset: Any) -> Any:
        """The states of a page's logins are read together."""
        page = super().paginate_queryset(queryset)
        if self.action == "list" and page is not None:
            self._login_statuses = login_statuses(page)
        return page

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "login_statuses": self._login_statuses}

    @extend_schema(responses=serializers.LoginSerializer)
    @action(detail=True)
    def login(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Where the device's login goes now, and what of it is approved."""
        return self._login(self.get_object())

    @extend_schema(
        responses=serializers.LoginSerializer(many=True), operation_id="devices_held_logins_list"
    )
    @action(detail=False, url_path="held-logins")
    def held_logins(self, request: Request) -> Response:  # noqa: ARG002
        """Devices whose login is held or whose certificate has changed, by name."""
        rows = devices_that_need_a_decision(self.access)
        devices: Sequence[Device] = self.paginate_queryset(rows) or []
        statuses = login_statuses(devices)
        return self.get_paginated_response(
            [serializers.login_as_shown(row, statuses[row.pk]) for row in devices]
        )

    @extend_schema(request=serializers.ApprovalSerializer, responses=serializers.LoginSerializer)
    @action(detail=True, methods=["post"], url_path="approve-login")
    def approve_login(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Let agents send the login where the device is now. A token needs the scope `logins.approve`."""
        device = self.get_object()
        wanted = serializers.ApprovalSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        destinations = {device.pk: wanted.validated_data["destination"]}
        self.write(services.approve_logins, destinations=destinations)
        return self._login(device)

    @extend_schema(request=serializers.ApprovalsSerializer, responses=serializers.LoginsSerializer)
    @action(detail=False, methods=["post"], url_path="approve-logins")
    def approve_logins(self, request: Request) -> Response:
        """Approve many at once. A token needs the scope `logins.approve`."""
        wanted = serializers.ApprovalsSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        destinations = {
            row["device"]: row["destination"] for row in wanted.validated_data["devices"]
        }
        self.write(services.approve_logins, destinations=destinations)
        devices = list(Device.objects.filter(pk__in=destinations).order_by("name"))
        statuses = login_statuses(devices)
        shown = [serializers.login_as_shown(row, statuses[row.pk]) for row in devices]
        return Response({"results": serializers.LoginSerializer(shown, many=True).data})

    @extend_schema(
        request=serializers.CertificateAcceptanceSerializer,
        responses=serializers.LoginSerializer,
    )
    @action(detail=True, methods=["post"], url_path="accept-certificate")
    def accept_certificate(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Pin the certificate that the router presents now. A token needs the scope `logins.approve`."""
        device = self.get_object()
        wanted = serializers.CertificateAcceptanceSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        self.write(services.accept_certificate, device=device, **wanted.validated_data)
        return self._login(device)

    def _login(self, device: Device) -> Response:
        shown = serializers.login_as_shown(device, login_status(device))
        return Response(serializers.LoginSerializer(shown).data)
