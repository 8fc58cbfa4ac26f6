"""`devices/*/login` and related actions: approving where router credentials are sent."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.inventory import services
from apps.inventory.api import login_serializers
from apps.inventory.api.base import InventoryViewSet
from apps.inventory.destinations import (
    LoginStatus,
    devices_awaiting_approval,
    login_status,
    login_statuses,
)
from apps.inventory.models import Device


class DeviceLogins(InventoryViewSet):
    """Actions of devices that concern their credentials."""

    #: Actions that decide where credentials are sent.
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
        """Read the login states of a page with a constant number of queries."""
        page = super().paginate_queryset(queryset)
        if self.action == "list" and page is not None:
            self._login_statuses = login_statuses(page)
        return page

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "login_statuses": self._login_statuses}

    @extend_schema(responses=login_serializers.LoginSerializer)
    @action(detail=True)
    def login(self, request: Request, pk: str) -> Response:
        """The present destination of the device's credentials, and the approved one."""
        return self._login(self.get_object())

    @extend_schema(
        responses=login_serializers.LoginSerializer(many=True),
        operation_id="devices_held_logins_list",
    )
    @action(detail=False, url_path="held-logins")
    def held_logins(self, request: Request) -> Response:
        """Devices whose credentials are held or whose certificate has changed, by name."""
        rows = devices_awaiting_approval(self.access)
        devices: Sequence[Device] = self.paginate_queryset(rows) or []
        statuses = login_statuses(devices)
        return self.get_paginated_response(
            [login_serializers.login_document(row, statuses[row.pk]) for row in devices]
        )

    @extend_schema(
        request=login_serializers.ApprovalSerializer, responses=login_serializers.LoginSerializer
    )
    @action(detail=True, methods=["post"], url_path="approve-login")
    def approve_login(self, request: Request, pk: str) -> Response:
        """Approve the device's present destination. A token needs the scope `logins.approve`."""
        device = self.get_object()
        serializer = login_serializers.ApprovalSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        destinations = {device.pk: serializer.validated_data["destination"]}
        services.approve_logins(destinations=destinations, **self.actor_and_time())
        return self._login(device)

    @extend_schema(
        request=login_serializers.ApprovalsSerializer, responses=login_serializers.LoginsSerializer
    )
    @action(detail=False, methods=["post"], url_path="approve-logins")
    def approve_logins(self, request: Request) -> Response:
        """Approve several devices at once. A token needs the scope `logins.approve`."""
        serializer = login_serializers.ApprovalsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        destinations = {
            row["device"]: row["destination"] for row in serializer.validated_data["devices"]
        }
        services.approve_logins(destinations=destinations, **self.actor_and_time())
        devices = list(Device.objects.filter(pk__in=destinations).order_by("name"))
        statuses = login_statuses(devices)
        documents = [login_serializers.login_document(row, statuses[row.pk]) for row in devices]
        return Response({"results": login_serializers.LoginSerializer(documents, many=True).data})

    @extend_schema(
        request=login_serializers.CertificateAcceptanceSerializer,
        responses=login_serializers.LoginSerializer,
    )
    @action(detail=True, methods=["post"], url_path="accept-certificate")
    def accept_certificate(self, request: Request, pk: str) -> Response:
        """Pin the certificate that the router presents. A token needs the scope `logins.approve`."""
        device = self.get_object()
        serializer = login_serializers.CertificateAcceptanceSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        services.accept_certificate(
            device=device, **serializer.validated_data, **self.actor_and_time()
        )
        return self._login(device)

    def _login(self, device: Device) -> Response:
        document = login_serializers.login_document(device, login_status(device))
        return Response(login_serializers.LoginSerializer(document).data)
