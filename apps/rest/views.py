"""The base of every REST view: authenticated, inside the tenant, permission declared."""

from collections.abc import Mapping
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, ClassVar, cast

import structlog
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from apps.authorization.access import Access
from apps.authorization.actors import Actor
from apps.authorization.permissions import Permission
from apps.authorization.requests import TenantHttpRequest
from apps.core import clock
from apps.core.errors import NotVisible
from apps.pages.lists import EntityList
from apps.rest import idempotency, preconditions
from apps.rest.deprecation import Deprecation
from apps.rest.field_selection import FIELD_SELECTION_ACTIONS, select_fields
from apps.rest.filters import DeclaredFilters, require_documented
from apps.rest.models import IdempotencyRecord
from apps.rest.permissions import action_of, require_declared_proof
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

#: Time limit of each statement; a report that needs more runs as a task.
STATEMENT_SECONDS = 10


class TenantView(APIView):
    """Runs its handler in one transaction inside the caller's tenant.

    ``permission_map`` maps an action name (view sets) or a lower-case method to a ``Permission``.
    """

    permission_map: Mapping[str, Permission] = {}
    #: Action or method -> its deprecation (docs/rest.md has the notice period).
    deprecated: ClassVar[Mapping[str, Deprecation]] = {}
    #: Actions that touch secrets, keys or roles: sessions need recent authentication, tokens do not.
    fresh_sign_in: frozenset[str] = frozenset()
    #: Actions that may take seconds of CPU or database: few of them at once per tenant.
    expensive: frozenset[str] = frozenset()
    _idempotency_record: IdempotencyRecord | None = None

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with ExitStack() as self._tenant_context:
            return super().dispatch(request, *args, **kwargs)

    def perform_authentication(self, request: Request) -> None:
        """Authenticate, then apply the tenant's limits and enter it: permission checks and handlers run inside."""
        super().perform_authentication(request)
        if isinstance(request.auth, Access):
            structlog.contextvars.bind_contextvars(tenant_id=str(request.auth.tenant.id))
            inner = cast(TenantHttpRequest, request._request)  # noqa: SLF001  (Django's request)
            inner.admission.enter(
                request.auth.tenant.id, is_expensive=action_of(self, request) in self.expensive
            )
            inside = acting_in(request.auth.tenant, seconds=STATEMENT_SECONDS)
            self._tenant_context.enter_context(inside)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        require_declared_proof(self, request)
        require_documented(request)
        if request.method == "POST":
            self._idempotency_record = idempotency.begin(self.access, request, clock.now())

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """The methods, in ``Allow``; the rest is in the OpenAPI description."""
        return Response(status=HTTPStatus.NO_CONTENT)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, idempotency.Replayed):
            return exc.response()
        return super().handle_exception(exc)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        if self._idempotency_record and response.status_code < HTTPStatus.BAD_REQUEST:
            idempotency.finish(self._idempotency_record, response)
        action = getattr(self, "action", None) or str(request.method).lower()
        if action in self.deprecated:
            for name, text in self.deprecated[action].headers().items():
                response[name] = text
        return super().finalize_response(request, response, *args, **kwargs)

    def actor_and_time(self) -> dict[str, Any]:
        """Arguments of every service that writes: who, and when."""
        return {"actor": self.access.actor, "at": clock.now()}

    @property
    def access(self) -> Access:
        """The caller's access; permission checks have verified that there is one."""
        if getattr(
            self, "swagger_fake_view", False
        ):  # set by the schema generator, which has no caller
            return Access(get_user_model()(), Tenant(), "", Actor.system("schema"))
        return cast(Access, self.request.auth)


class TenantViewSet(TenantView, GenericViewSet[Any]):
    """A view set in the tenant; ``get_object`` does not distinguish absent rows from invisible ones."""

    filter_backends = [DeclaredFilters]
    #: Query parameter of the list -> field of the model.
    filters: ClassVar[Mapping[str, str]] = {}
    #: Columns of ``?ordering=``, also with a minus; they are never null.
    orderings: ClassVar[tuple[str, ...]] = ()
    #: Fields that change by themselves and so are no part of the ETag.
    etag_ignores: ClassVar[frozenset[str]] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action in preconditions.IF_MATCH_ACTIONS and "If-Match" in request.headers:
            preconditions.require_match(self, request, **kwargs)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        action = getattr(self, "action", None)
        is_good = response.status_code == HTTPStatus.OK
        tag = ""
        if action in preconditions.ETAG_ACTIONS and is_good:
            tag = preconditions.etag_of(cast(Any, response.data), self.etag_ignores)
        if action in FIELD_SELECTION_ACTIONS and is_good and "fields" in request.query_params:
            known = set(cast(Any, self.get_serializer_class()()).fields)
            response = select_fields(response, request.query_params["fields"], known)
        final = super().finalize_response(request, response, *args, **kwargs)
        if tag and final.status_code == HTTPStatus.OK:
            final["ETag"] = tag
        return final

    def get_object(self) -> Any:
        try:
            return super().get_object()
        except (ValueError, TypeError) as error:  # an id that is not a uuid
            raise NotVisible from error


class PartialUpdateMixin:
    """PATCH with ``perform_update``. Unlike ``mixins.UpdateModelMixin`` without PUT, which would reset fields that are
    unknown to older clients."""

    def partial_update(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(self.get_object(), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        self.perform_update(serializer)
        return Response(serializer.data)


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
