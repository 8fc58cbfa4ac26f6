"""`platform/*`: what a platform operator does outside of any tenant.

Browser sessions only: an API token would be permanent access to every tenant.
"""

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from apps.accounts import platform
from apps.accounts.access import PlatformAccess
from apps.accounts.access_sessions import MAX_REASON_LENGTH, MIN_REASON_LENGTH
from apps.accounts.api.tenants import BreakGlassSerializer, TenantSerializer
from apps.accounts.errors import NotPlatformOperator
from apps.accounts.factor_policy import require_own_factor
from apps.accounts.mail_domains import MAX_DOMAINS, mail_domains_of, set_mail_domains
from apps.accounts.models import MailDomain, User
from apps.accounts.services import create_tenant
from apps.authorization.actors import Actor
from apps.authorization.permissions import PlatformPermission
from apps.core import clock
from apps.core.errors import NotVisible
from apps.rest.permissions import require_declared_proof
from apps.rest.schema import PlatformAutoSchema
from apps.tenancy.models import Tenant

SCHEMA_ACCESS = PlatformAccess(User(), Actor.system("schema"))


class PlatformSessionAuthentication(SessionAuthentication):
    """A signed-in platform operator; any other user is authenticated without access."""

    def authenticate(self, request: Request) -> tuple[User, PlatformAccess | None] | None:
        result: tuple[Any, Any] | None = super().authenticate(request)
        if result is None:
            return None
        user = cast(User, result[0])
        try:
            access = platform.platform_access(user)
        except NotPlatformOperator:
            return user, None
        require_own_factor(request.session)
        return user, access

    def authenticate_header(self, request: Request) -> str:
        return "Session"


class PlatformPermitted(BasePermission):
    """Looks up the view's ``permission_map``, as in tenants; undeclared actions are refused."""

    def has_permission(self, request: Request, view: Any) -> bool:
        declared = getattr(view, "permission_map", {})
        permission = declared.get(getattr(view, "action", None))
        access = request.auth
        return (
            permission is not None and isinstance(access, PlatformAccess) and access.may(permission)
        )


class PlatformViewSet(GenericViewSet[Any]):
    """The base of every view outside tenants: no tenant is set, so row-level security hides every tenant's rows."""

    authentication_classes = [PlatformSessionAuthentication]
    permission_classes = [PlatformPermitted]
    permission_map: Mapping[str, PlatformPermission] = {}
    #: As in tenants: actions that need a recent sign-in.
    fresh_sign_in: frozenset[str] = frozenset()
    schema = PlatformAutoSchema()

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with transaction.atomic():
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        require_declared_proof(self, request)

    @property
    def access(self) -> PlatformAccess:
        if getattr(self, "swagger_fake_view", False):
            return SCHEMA_ACCESS
        return cast(PlatformAccess, self.request.auth)

    def get_object(self) -> Any:
        try:
            return super().get_object()
        except (ValueError, TypeError) as error:  # an id that is not a uuid
            raise NotVisible from error


class NewTenantSerializer(serializers.Serializer[Any]):
    slug = serializers.SlugField(max_length=63)
    name = serializers.CharField(max_length=200)


class TenantStateSerializer(serializers.Serializer[Any]):
    is_active = serializers.BooleanField(
        help_text="False: suspended. Nobody can work in it; its data is kept."
    )


class MailDomainSerializer(serializers.ModelSerializer[MailDomain]):
    accepted_by = serializers.CharField(source="accepted_by.label", read_only=True)

    class Meta:
        model = MailDomain
        fields = ["domain", "accepted_by", "accepted_at"]
        read_only_fields = fields


class MailDomainsSerializer(serializers.Serializer[Any]):
    """The mail domains accepted for a tenant's identity providers."""

    domains = serializers.ListField(
        child=serializers.CharField(max_length=253), max_length=MAX_DOMAINS, allow_empty=True
    )


class AccessSessionSerializer(serializers.Serializer[Any]):
    """An access session to open. The reason is shown to the tenant."""

    tenant = serializers.UUIDField()
    reason = serializers.CharField(min_length=MIN_REASON_LENGTH, max_length=MAX_REASON_LENGTH)
    minutes = serializers.IntegerField(
        min_value=1, max_value=platform.MAX_MINUTES, default=platform.DEFAULT_MINUTES
    )


class PlatformTenantsViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, PlatformViewSet):
    """Every tenant of this installation."""

    serializer_class = TenantSerializer
    permission_map = {
        **dict.fromkeys(("list", "retrieve"), PlatformPermission.TENANTS_VIEW),
        "mail_domains": PlatformPermission.TENANTS_VIEW,
        **dict.fromkeys(
            ("create", "partial_update", "set_mail_domains"), PlatformPermission.TENANTS_MANAGE
        ),
    }
    fresh_sign_in = frozenset({"create", "partial_update", "set_mail_domains"})

    def get_queryset(self) -> QuerySet[Tenant]:
        return Tenant.objects.all()

    @extend_schema(request=NewTenantSerializer, responses={201: TenantSerializer})
    def create(self, request: Request) -> Response:
        params = NewTenantSerializer(data=request.data)
        params.is_valid(raise_exception=True)
        created = create_tenant(**params.validated_data, actor=self.access.actor, at=clock.now())
        return Response(TenantSerializer(created).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=TenantStateSerializer, responses=TenantSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        tenant = self.get_object()
        params = TenantStateSerializer(data=request.data)
        params.is_valid(raise_exception=True)
        changed = platform.set_tenant_active(
            tenant=tenant, access=self.access, at=clock.now(), **params.validated_data
        )
        return Response(TenantSerializer(changed).data)

    @extend_schema(responses=MailDomainSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], url_path="mail-domains", pagination_class=None)
    def mail_domains(self, request: Request, pk: str) -> Response:
        """The mail domains accepted for the tenant's identity providers."""
        domains = mail_domains_of(self.get_object())
        return Response(MailDomainSerializer(domains, many=True).data)

    @extend_schema(request=MailDomainsSerializer, responses=MailDomainSerializer(many=True))
    @mail_domains.mapping.put
    def set_mail_domains(self, request: Request, pk: str) -> Response:
        """Replace the tenant's accepted mail domains with these."""
        tenant = self.get_object()
        params = MailDomainsSerializer(data=request.data)
        params.is_valid(raise_exception=True)
        domains = set_mail_domains(
            tenant=tenant, actor=self.access.actor, at=clock.now(), **params.validated_data
        )
        return Response(MailDomainSerializer(domains, many=True).data)


class AccessSessionsViewSet(PlatformViewSet):
    """Access sessions of platform operators: while one is open, `X-ISPVM-Tenant` selects the tenant on each request."""

    serializer_class = AccessSessionSerializer
    permission_map = dict.fromkeys(("create", "destroy"), PlatformPermission.BREAK_GLASS)
    fresh_sign_in = frozenset({"create"})
    lookup_value_regex = "[^/]+"

    @extend_schema(request=AccessSessionSerializer, responses={201: BreakGlassSerializer})
    def create(self, request: Request) -> Response:
        params = AccessSessionSerializer(data=request.data)
        params.is_valid(raise_exception=True)
        values = params.validated_data
        session = platform.open_access_session(
            access=self.access,
            tenant_id=values["tenant"],
            reason=values["reason"],
            minutes=values["minutes"],
            at=clock.now(),
        )
        return Response(BreakGlassSerializer(session).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Close the access session of the tenant with this id."""
        try:
            tenant_id = UUID(pk)
        except ValueError as error:
            raise NotVisible from error
        platform.close_access_session(access=self.access, tenant_id=tenant_id, at=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
