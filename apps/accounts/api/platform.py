"""`platform/*`: what a platform operator does outside of any tenant.

Sessions only: a standing key to every tenant would be no break-glass.
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
from apps.accounts.api.tenants import BreakGlassSerializer, TenantSerializer
from apps.accounts.errors import NotPlatformOperator
from apps.accounts.factor_policy import require_own_factor
from apps.accounts.mail_domains import MAX_DOMAINS, mail_domains_of, set_mail_domains
from apps.accounts.models import MailDomain, User
from apps.accounts.services import create_tenant
from apps.accounts.visits import LONGEST_REASON, SHORTEST_REASON
from apps.authorization.actors import Actor
from apps.authorization.permissions import PlatformPermission
from apps.core import clock
from apps.core.errors import NotVisible
from apps.rest.permissions import require_declared_proof
from apps.rest.schema import PlatformAutoSchema
from apps.tenancy.models import Tenant

NOBODY = PlatformAccess(User(), Actor.system("schema"))


class PlatformSessionAuthentication(SessionAuthentication):
    """A signed-in platform operator; anybody else is known, and may nothing."""

    def authenticate(self, request: Request) -> tuple[User, PlatformAccess | None] | None:
        found: tuple[Any, Any] | None = super().authenticate(request)
        if found is None:
            return None
        user = cast(User, found[0])
        try:
            access = platform.platform_access(user)
        except NotPlatformOperator:
            return user, None
        require_own_factor(request.session)
        return user, access

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        return "Session"


class PlatformPermitted(BasePermission):
    """Looks up the view's ``permission_map``, as in tenants; undeclared actions answer nobody."""

    def has_permission(self, request: Request, view: Any) -> bool:
        declared = getattr(view, "permission_map", {})
        permission = declared.get(getattr(view, "action", None))
        access = request.auth
        return (
            permission is not None and isinstance(access, PlatformAccess) and access.may(permission)
        )


class PlatformViewSet(GenericViewSet[Any]):
    """The base of every view outside tenants: no tenant is set, so no tenant's row is seen."""

    authentication_classes = [PlatformSessionAuthentication]
    permission_classes = [PlatformPermitted]
    permission_map: Mapping[str, PlatformPermission] = {}
    #: As in tenants: actions for which the operator confirms who they are.
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
            return NOBODY
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
    is_active = serializers.BooleanField(help_text="False: nobody works in it; its data stays.")


class MailDomainSerializer(serializers.ModelSerializer[MailDomain]):
    accepted_by = serializers.CharField(source="accepted_by.label", read_only=True)

    class Meta:
        model = MailDomain
        fields = ["domain", "accepted_by", "accepted_at"]
        read_only_fields = fields


class MailDomainsSerializer(serializers.Serializer[Any]):
    """All that a tenant's identity providers may speak for."""

    domains = serializers.ListField(
        child=serializers.CharField(max_length=253), max_length=MAX_DOMAINS, allow_empty=True
    )


class StaySerializer(serializers.Serializer[Any]):
    """A stay to begin: the tenant is named and told why."""

    tenant = serializers.UUIDField()
    reason = serializers.CharField(min_length=SHORTEST_REASON, max_length=LONGEST_REASON)
    minutes = serializers.IntegerField(
        min_value=1, max_value=platform.MOST_MINUTES, default=platform.MINUTES
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
        asked = NewTenantSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        made = create_tenant(**asked.validated_data, actor=self.access.actor, at=clock.now())
        return Response(TenantSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=TenantStateSerializer, responses=TenantSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        tenant = self.get_object()
        asked = TenantStateSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        changed = platform.set_tenant_active(
            tenant=tenant, access=self.access, at=clock.now(), **asked.validated_data
        )
        return Response(TenantSerializer(changed).data)

    @extend_schema(responses=MailDomainSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], url_path="mail-domains", pagination_class=None)
    def mail_domains(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """The mail domains for which the tenant's identity providers may speak."""
        found = mail_domains_of(self.get_object())
        return Response(MailDomainSerializer(found, many=True).data)

    @extend_schema(request=MailDomainsSerializer, responses=MailDomainSerializer(many=True))
    @mail_domains.mapping.put
    def set_mail_domains(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Accept these mail domains as the tenant's, and no others."""
        tenant = self.get_object()
        asked = MailDomainsSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        found = set_mail_domains(
            tenant=tenant, actor=self.access.actor, at=clock.now(), **asked.validated_data
        )
        return Response(MailDomainSerializer(found, many=True).data)


class StaysViewSet(PlatformViewSet):
    """Going into a tenant, and out again. Then `X-ISPVM-Tenant` names it on each request inside."""

    serializer_class = StaySerializer
    permission_map = dict.fromkeys(("create", "destroy"), PlatformPermission.BREAK_GLASS)
    fresh_sign_in = frozenset({"create"})
    lookup_value_regex = "[^/]+"

    @extend_schema(request=StaySerializer, responses={201: BreakGlassSerializer})
    def create(self, request: Request) -> Response:
        asked = StaySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        named = asked.validated_data
        stay = platform.enter_tenant(
            access=self.access,
            tenant_id=named["tenant"],
            reason=named["reason"],
            minutes=named["minutes"],
            at=clock.now(),
        )
        return Response(BreakGlassSerializer(stay).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """By the tenant's id."""
        try:
            tenant_id = UUID(pk)
        except ValueError as error:
            raise NotVisible from error
        platform.leave_tenant(access=self.access, tenant_id=tenant_id, at=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
