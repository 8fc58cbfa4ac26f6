"""Base view sets of inventory resources: filtered list, retrieve, and writes through services."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.core import clock
from apps.rest.views import TenantViewSet

Write = Callable[..., Any]


class InventoryViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Reads need INVENTORY_VIEW, writes INVENTORY_CHANGE."""

    etag_ignores = frozenset({"last_seen_at"})
    model: ClassVar[type[Model]]
    #: The row's argument name in the services, and the services; an action without a service is not available.
    row_name: ClassVar[str] = ""
    create_row: ClassVar[Write | None] = None
    update_row: ClassVar[Write | None] = None
    delete_row: ClassVar[Write | None] = None

    permission_map = {
        "list": Permission.INVENTORY_VIEW,
        "retrieve": Permission.INVENTORY_VIEW,
        "create": Permission.INVENTORY_CHANGE,
        "partial_update": Permission.INVENTORY_CHANGE,
        "destroy": Permission.INVENTORY_CHANGE,
    }

    def get_queryset(self) -> QuerySet[Any]:
        return self.access.visible(
            self.model._default_manager.all(),
            Permission.INVENTORY_VIEW,
        )

    def write(self, service: Write, /, **arguments: Any) -> Any:
        """Call a service with the caller as actor and the current time."""
        return service(**arguments, actor=self.access.actor, at=clock.now())


class CreateRow(InventoryViewSet):
    """POST creates a row."""

    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        row = self.write(type(self).create_row, **serializer.validated_data)  # type: ignore[arg-type]  # set where mixed in
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)


class UpdateRow(InventoryViewSet):
    """PATCH changes the given fields. PUT is not available: it would reset fields unknown to older clients."""

    def partial_update(self, request: Request, pk: str) -> Response:
        row = self.get_object()
        serializer = self.get_serializer(row, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        changed = self.write(
            type(self).update_row,  # type: ignore[arg-type]  # set where mixed in
            **{self.row_name: row, "changes": serializer.validated_data},
        )
        return Response(self.get_serializer(changed).data)


class DeleteRow(InventoryViewSet):
    """DELETE removes a row, or answers 409 when it is in use."""

    def destroy(self, request: Request, pk: str) -> Response:
        self.write(type(self).delete_row, **{self.row_name: self.get_object()})  # type: ignore[arg-type]  # set where mixed in
        return Response(status=status.HTTP_204_NO_CONTENT)
