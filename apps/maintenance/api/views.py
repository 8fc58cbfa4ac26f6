"""Maintenance windows over REST."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.core import clock
from apps.maintenance import selectors, services
from apps.maintenance.api.serializers import WindowFilterSerializer, WindowSerializer
from apps.maintenance.models import MaintenanceWindow
from apps.rest.pagination import CursorPages
from apps.rest.views import TenantViewSet


class LatestFirst(CursorPages):
    ordering = ("-starts_at", "-id")  # type: ignore[assignment]  # ties need the id


@extend_schema_view(list=extend_schema(parameters=[WindowFilterSerializer]))
class WindowViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Announced work, the latest first. What is over stays as it was."""

    pagination_class = LatestFirst
    serializer_class = WindowSerializer
    etag_ignores = frozenset({"state"})
    permission_map = {
        "list": Permission.MAINTENANCE_VIEW,
        "retrieve": Permission.MAINTENANCE_VIEW,
        "create": Permission.MAINTENANCE_PLAN,
        "partial_update": Permission.MAINTENANCE_PLAN,
        "end": Permission.MAINTENANCE_PLAN,
    }

    def get_queryset(self) -> QuerySet[MaintenanceWindow]:
        return selectors.visible_windows(self.access)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.action != "list":
            return queryset
        asked = WindowFilterSerializer(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        state = asked.validated_data.get("state")
        return selectors.windows_in_state(queryset, state, clock.now()) if state else queryset

    def create(self, request: Request) -> Response:
        """Announce work on sites, with all of their routers, and on routers."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        self._require_targets(asked.validated_data)
        window = services.plan_window(**asked.validated_data, **self._who())
        return Response(self.get_serializer(window).data, status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Change a window that is not over."""
        window = self.get_object()
        asked = self.get_serializer(window, data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        self._require_targets(asked.validated_data)
        changed = services.change_window(window=window, changes=asked.validated_data, **self._who())
        return Response(self.get_serializer(changed).data)

    @extend_schema(request=None, responses=WindowSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """End it now, or call it off. What still burns is told from then on."""
        window = services.end_window(window=self.get_object(), **self._who())
        return Response(self.get_serializer(window).data)

    def _require_targets(self, asked: dict[str, Any]) -> None:
        named = {name: asked.get(name, ()) for name in ("site_ids", "device_ids")}
        selectors.require_visible_targets(self.access, **named)

    def _who(self) -> dict[str, Any]:
        return {"actor": self.access.actor, "at": clock.now()}
