"""REST lists whose filters and orders are declared in an ``EntityList``."""

from typing import Any, ClassVar

from django.db.models import QuerySet

from apps.pages.lists import EntityList


class EntityListMixin:
    """For tenant view sets: the list action takes its filters and orders from ``entity_list``."""

    entity_list: ClassVar[EntityList]

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        view: Any = self
        if view.action != "list":
            return queryset
        params = view.request.query_params
        values = self.entity_list.validated(params.dict())
        rows = self.entity_list.narrowed(queryset, values, view.access)
        key = params.get("ordering", "").removeprefix("-")
        # The paginator refuses an unknown key.
        return (
            self.entity_list.with_sort_value(rows, key)
            if key in self.entity_list.order_keys
            else rows
        )
