"""The declaration of an entity's list: filters, search and orders, once for its page, its CSV and REST."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework import serializers

from apps.authorization.access import Access
from apps.pages.ordering import DEFAULT_ORDERING, SORT, Ordering
from apps.pages.params import text_param


@dataclass(frozen=True)
class Filter:
    """A query parameter: ``field`` validates its text, ``apply`` narrows the rows by the value."""

    name: str
    field: serializers.Field[Any, Any, Any, Any]
    apply: Callable[[QuerySet[Any], Any, Access], QuerySet[Any]]


@dataclass(frozen=True)
class Order:
    """A sort key: a column or an expression without nulls, and what orders rows that are alike in it."""

    key: str
    value: Any = None
    #: Empty: the id, in the direction of the key.
    tie: str = ""

    @property
    def column(self) -> str:
        """The column or annotation that holds the value."""
        if self.value is None:
            return self.key
        return self.value if isinstance(self.value, str) else f"sort_{self.key}"

    def fields(self, *, descends: bool) -> tuple[str, str]:
        """As for ``order_by``."""
        sign = "-" if descends else ""
        return (f"{sign}{self.column}", self.tie or f"{sign}id")


@dataclass(frozen=True)
class ListParams:
    """What a page's URL selects."""

    #: Each filter's text; empty when it is not set.
    texts: Mapping[str, str]
    order: Ordering = DEFAULT_ORDERING
    #: Texts and sort keys that the page omits from its URLs.
    defaults: Mapping[str, str] = field(default_factory=dict, compare=False)
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)
    #: Parameters whose value is invalid; the page says that they were ignored.
    faults: tuple[str, ...] = field(default=(), compare=False)

    def filter_params(self) -> dict[str, str]:
        """The parameters that narrow the list."""
        return {
            name: "" if text == self.defaults.get(name) else text
            for name, text in self.texts.items()
        }

    def params(self) -> dict[str, str]:
        """All parameters, with the sort order."""
        order = str(self.order)
        return {
            **self.filter_params(),
            SORT: "" if order == self.defaults.get(SORT) else order,
        }


@dataclass(frozen=True)
class EntityList:
    """Filters and orders of one entity. REST names them as they are declared."""

    name: str
    filters: tuple[Filter, ...]
    orders: tuple[Order, ...]
    #: What the page selects unless its URL says otherwise.
    page_defaults: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def serializer(self) -> type[serializers.Serializer[Any]]:
        """Validates the parameters; also their OpenAPI description."""
        fields = {each.name: each.field for each in self.filters}
        return type(f"{self.name}FilterSerializer", (serializers.Serializer,), fields)

    @property
    def order_keys(self) -> tuple[str, ...]:
        return tuple(order.key for order in self.orders)

    def order(self, key: str) -> Order:
        return next(order for order in self.orders if order.key == key)

    def validated(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The values of query parameters. Raises DRF's ValidationError."""
        serializer = self.serializer(data=params)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def request_params(self, request: HttpRequest, *, columns: tuple[str, ...] = ()) -> ListParams:
        """The parameters of a page's URL. ``columns`` are sort keys of the page alone."""
        names = (*(each.name for each in self.filters), SORT)
        return self.page_params(
            {name: text_param(request, name) for name in names}, columns=columns
        )

    def page_params(
        self, params: Mapping[str, str], *, columns: tuple[str, ...] = ()
    ) -> ListParams:
        """These parameters, with the page's defaults for those that are not set or invalid."""
        given = {each.name: params.get(each.name, "") for each in self.filters}
        sort = params.get(SORT, "")
        serializer = self.serializer(data={name: text for name, text in given.items() if text})
        faults = [] if serializer.is_valid() else sorted(serializer.errors)
        known = {
            name: self.page_defaults.get(name, "") if name in faults or not text else text
            for name, text in given.items()
        }
        if sort.removeprefix("-") not in {"", *self.order_keys, *columns}:
            faults.append(SORT)
            sort = ""
        sort = sort or self.page_defaults.get(SORT, "")
        return ListParams(
            texts=known,
            order=Ordering(sort.removeprefix("-"), sort.startswith("-")),
            defaults=self.page_defaults,
            values=self.validated({name: text for name, text in known.items() if text}),
            faults=tuple(faults),
        )

    def narrowed(
        self, rows: QuerySet[Any], values: Mapping[str, Any], access: Access
    ) -> QuerySet[Any]:
        """The rows that match every value."""
        for each in self.filters:
            if each.name in values:
                rows = each.apply(rows, values[each.name], access)
        return rows

    def with_sort_value(self, rows: QuerySet[Any], key: str) -> QuerySet[Any]:
        """The rows with the annotation that this order sorts by, if it needs one."""
        order = self.order(key)
        if order.value is None or isinstance(order.value, str):
            return rows
        annotated: QuerySet[Any] = rows.annotate(**{order.column: order.value})
        return annotated

    def sorted(self, rows: QuerySet[Any], by: Ordering) -> QuerySet[Any]:
        """The rows in this order."""
        fields = self.order(by.key).fields(descends=by.descends)
        return self.with_sort_value(rows, by.key).order_by(*fields)


def equals(name: str) -> Callable[[QuerySet[Any], Any, Access], QuerySet[Any]]:
    """A filter by equality with a column."""
    return lambda rows, value, _access: rows.filter(**{name: value})


def search(rows: Any, words: str, _access: Access) -> QuerySet[Any]:
    """A filter by the ``search`` of the entity's queryset."""
    found: QuerySet[Any] = rows.search(words)
    return found
