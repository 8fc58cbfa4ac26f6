"""Base view set of inventory resources."""

from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from rest_framework import mixins

from apps.authorization.permissions import Permission
from apps.rest.views import TenantViewSet


class InventoryViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Reads need INVENTORY_VIEW, writes INVENTORY_CHANGE."""

    etag_ignores = frozenset({"last_seen_at"})
    model: ClassVar[type[Model]]

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
