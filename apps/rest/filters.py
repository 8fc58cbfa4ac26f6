"""Filters of lists, typed by the model's fields, and the check for unknown parameters."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from django.db import models
from django_filters.rest_framework import DjangoFilterBackend, FilterSet, filters
from django_filters.utils import get_model_field
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.plumbing import ComponentRegistry
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from apps.rest.parsing import MAX_PARAMETER_LENGTH


class DeclaredFilters(DjangoFilterBackend):  # type: ignore[misc]  # django-filter ships no types
    """The view's ``filters``: query parameter -> field of its model. An unusable value is a 400, an empty one too."""

    def get_filterset_class(self, view: Any, queryset: Any = None) -> type[FilterSet] | None:
        declared = getattr(view, "filters", {}) if view.action == "list" else {}
        if not declared or queryset is None:
            return None
        return filterset_of(queryset.model, tuple(declared.items()))

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        if view.action == "list":
            blank = [n for n in view.filters if request.query_params.get(n, "x").strip() == ""]
            if blank:
                raise ValidationError({n: [ErrorDetail("Empty.", "blank")] for n in blank})
        return super().filter_queryset(request, queryset, view)


@cache
def filterset_of(
    model: type[models.Model], declared: tuple[tuple[str, str], ...]
) -> type[FilterSet]:
    by_name = {name: _filter(model, path) for name, path in declared}
    return type(f"{model.__name__}Filters", (FilterSet,), by_name)


def _filter(model: type[models.Model], path: str) -> filters.Filter:
    field: Any = get_model_field(model, path)
    if field.choices:
        offered = "One of: " + ", ".join(str(value) for value, _ in field.choices) + "."
        return filters.ChoiceFilter(
            field_name=path, choices=field.choices, error_messages={"invalid_choice": offered}
        )
    if field.is_relation or isinstance(field, models.UUIDField):
        # No lookup of the row: an unknown id finds nothing, without a query.
        return filters.UUIDFilter(field_name=path)
    return filters.CharFilter(field_name=path)


def require_documented(request: Request) -> None:
    """Refuse parameters that the OpenAPI description does not name: a misspelt filter would return everything."""
    match = request.resolver_match
    if not request.query_params or match is None or not _answers(match.func, str(request.method)):
        return  # answered with 405
    known = documented_parameters(match.func, match.route, str(request.method))
    faults: Mapping[str, list[ErrorDetail]] = {
        name[:100].replace("\x00", ""): [fault]
        for name, values in request.query_params.lists()
        if (fault := _fault(name, values, known)) is not None
    }
    if faults:
        raise ValidationError(faults)


def _answers(view: Callable[..., Any], method: str) -> bool:
    """Whether the view has this method; of a view set, whether the URL maps it to an action.

    OPTIONS is not described and ignores parameters.
    """
    if method == "OPTIONS":
        return False
    actions = getattr(view, "actions", None)
    name = "get" if method == "HEAD" else method.lower()  # Django answers HEAD with get()
    return name in actions if actions else hasattr(getattr(view, "cls", view), name)


def _fault(name: str, values: list[Any], known: frozenset[str]) -> ErrorDetail | None:
    if name not in known:
        return ErrorDetail("Unknown parameter.", "unknown_parameter")
    if len(values) != 1:
        return ErrorDetail("Given more than once.", "repeated")
    if "\x00" in values[0]:  # PostgreSQL stores no NUL
        return ErrorDetail("NUL is not allowed.", "invalid")
    if len(values[0]) > MAX_PARAMETER_LENGTH:
        return ErrorDetail(f"At most {MAX_PARAMETER_LENGTH} characters.", "max_length")
    return None


@cache
def documented_parameters(view: Callable[..., Any], route: str, method: str) -> frozenset[str]:
    """The query parameters in the OpenAPI description of this operation."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]  # the library
    method = "GET" if method == "HEAD" else method
    path = EndpointEnumerator().get_path_from_regex(route)  # type: ignore[no-untyped-call]  # the library
    view_instance = generator.create_view(view, method)  # type: ignore[no-untyped-call]  # the library
    view_instance.request = None
    operation = view_instance.schema.get_operation(
        path, route, "^/api/v1", method, ComponentRegistry()
    )
    parameters = (operation or {}).get("parameters", ())
    return frozenset(p["name"] for p in parameters if p["in"] == "query")
