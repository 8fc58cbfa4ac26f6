"""REST of maintenance windows."""

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
from apps.rest.pagination import SignedCursorPagination
from apps.rest.views import TenantViewSet


class LatestFirst(SignedCursorPagination):
    ordering = ("-starts_at", "-id")  # type: ignore[assignment]  # ties need the id


@extend_schema_view(list=extend_schema(parameters=[WindowFilterSerializer]))
class WindowViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Maintenance windows, the latest first. A window that has ended cannot be changed."""

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
        serializer = WindowFilterSerializer(data=self.request.query_params)
        serializer.is_valid(raise_exception=True)
        state = serializer.validated_data.get("state")
        return selectors.windows_in_state(queryset, state, clock.now()) if state else queryset

    def create(self, request: Request) -> Response:
        """Plan maintenance of sites, with all of their routers, and of routers."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        self._require_targets(serializer.validated_data)
        window = services.plan_window(**serializer.validated_data, **self._actor_and_time())
        return Response(self.get_serializer(window).data, status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a window that has not ended."""
        window = self.get_object()
        serializer = self.get_serializer(window, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        self._require_targets(serializer.validated_data)
        changed = services.change_window(
            window=window, changes=serializer.validated_data, **self._actor_and_time()
        )
        return Response(self.get_serializer(changed).data)

    @extend_schema(request=None, responses=WindowSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: str) -> Response:
        """End a window now, or cancel it before it begins. Open incidents notify from then on."""
        window = services.end_window(window=self.get_object(), **self._actor_and_time())
        return Response(self.get_serializer(window).data)

    def _require_targets(self, data: dict[str, Any]) -> None:
        targets = {name: data.get(name, ()) for name in ("site_ids", "device_ids")}
        selectors.require_visible_targets(self.access, **targets)

    def _actor_and_time(self) -> dict[str, Any]:
        return {"actor": self.access.actor, "at": clock.now()}
