"""REST of maintenance windows."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.core import clock
from apps.maintenance import selectors, services
from apps.maintenance.api.serializers import WindowFilterSerializer, WindowSerializer
from apps.maintenance.models import MaintenanceWindow
from apps.rest.pagination import SignedCursorPagination
from apps.rest.views import PartialUpdateMixin, TenantViewSet


class LatestFirst(SignedCursorPagination):
    ordering = ("-starts_at", "-id")  # type: ignore[assignment]  # ties need the id


@extend_schema_view(
    list=extend_schema(parameters=[WindowFilterSerializer]),
    create=extend_schema(
        description="Plan maintenance of sites, with all of their routers, and of routers."
    ),
    partial_update=extend_schema(description="Change a window that has not ended."),
)
class WindowViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    PartialUpdateMixin,
    TenantViewSet,
):
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

    def perform_create(self, serializer: Any) -> None:
        self._require_targets(serializer.validated_data)
        serializer.instance = services.plan_window(
            **serializer.validated_data, **self.actor_and_time()
        )

    def perform_update(self, serializer: Any) -> None:
        self._require_targets(serializer.validated_data)
        serializer.instance = services.change_window(
            window=serializer.instance, changes=serializer.validated_data, **self.actor_and_time()
        )

    @extend_schema(request=None, responses=WindowSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: str) -> Response:
        """End a window now, or cancel it before it begins. Open incidents notify from then on."""
        window = services.end_window(window=self.get_object(), **self.actor_and_time())
        return Response(self.get_serializer(window).data)

    def _require_targets(self, data: dict[str, Any]) -> None:
        targets = {name: data.get(name, ()) for name in ("site_ids", "device_ids")}
        selectors.require_visible_targets(self.access, **targets)
