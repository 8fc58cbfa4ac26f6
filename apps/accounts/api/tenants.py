"""`tenants`, `invitations` and `break-glass`: the tenant as its members see it."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import factor_policy, invitations, platform
from apps.accounts.access import MemberAccess, member_access
from apps.accounts.models import BreakGlass, Invitation
from apps.authorization.choices import Role
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.rest.views import TenantViewSet
from apps.tenancy.models import Tenant


class TenantSerializer(serializers.ModelSerializer[Tenant]):
    """The current tenant. Its slug never changes."""

    class Meta:
        model = Tenant
        fields = ["id", "slug", "name", "is_active", "created_at"]
        read_only_fields = ["id", "slug", "is_active", "created_at"]


class SignInPolicySerializer(serializers.Serializer[Any]):
    """Who needs a second factor in this tenant. Platform operators always do."""

    second_factor_roles = serializers.ListField(
        child=serializers.ChoiceField(choices=Role.choices),
        max_length=len(Role.values),
        help_text="Roles that need a second factor: their members must set one up before they can continue.",
    )
    accepts_provider_factor = serializers.BooleanField(
        help_text="Whether a second factor at the identity provider (`mfa` in `amr`) is sufficient."
    )


class TenantsViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """The caller's current tenant only."""

    serializer_class = TenantSerializer
    permission_map = {
        **dict.fromkeys(("list", "retrieve"), Permission.SELF),
        **dict.fromkeys(
            ("partial_update", "sign_in_policy", "set_sign_in_policy"), Permission.TENANT_MANAGE
        ),
    }
    fresh_sign_in = frozenset({"set_sign_in_policy"})

    def get_queryset(self) -> QuerySet[Tenant]:
        # A global table: row-level security does not back this filter.
        return Tenant.objects.filter(pk=self.access.tenant.pk)

    def partial_update(self, request: Request, pk: str) -> Response:
        tenant = self.get_object()
        params = self.get_serializer(tenant, data=request.data, partial=True)
        params.is_valid(raise_exception=True)
        if "name" in params.validated_data:
            tenant = platform.rename_tenant(
                tenant=tenant,
                name=params.validated_data["name"],
                actor=self.access.actor,
                at=clock.now(),
            )
        return Response(self.get_serializer(tenant).data)

    @extend_schema(responses=SignInPolicySerializer)
    @action(detail=True, methods=["get"], url_path="sign-in-policy")
    def sign_in_policy(self, request: Request, pk: str) -> Response:
        """Which roles need a second factor."""
        return Response(SignInPolicySerializer(self.get_object()).data)

    @extend_schema(request=SignInPolicySerializer, responses=SignInPolicySerializer)
    @sign_in_policy.mapping.put
    def set_sign_in_policy(self, request: Request, pk: str) -> Response:
        """Set which roles need a second factor; takes effect on the next request of each session."""
        tenant = self.get_object()
        params = SignInPolicySerializer(data=request.data)
        params.is_valid(raise_exception=True)
        tenant = factor_policy.set_sign_in_policy(
            tenant=tenant, actor=self.access.actor, at=clock.now(), **params.validated_data
        )
        return Response(SignInPolicySerializer(tenant).data)


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    """An invitation of an address to this tenant, with a role."""

    role = serializers.ChoiceField(choices=Role.choices)

    class Meta:
        model = Invitation
        fields = [
            *("id", "email", "role", "is_limited", "invited_by", "mail_state"),
            *("created_at", "expires_at", "accepted_at", "declined_at", "revoked_at"),
        ]
        read_only_fields = [
            *("id", "invited_by", "mail_state", "created_at", "expires_at"),
            *("accepted_at", "declined_at", "revoked_at"),
        ]


class CreatedInvitationSerializer(InvitationSerializer):
    link = serializers.URLField(
        read_only=True,
        allow_null=True,
        help_text="Returned only once, to be handed over. Null if the platform sends it by mail.",
    )

    class Meta(InvitationSerializer.Meta):
        fields = [*InvitationSerializer.Meta.fields, "link"]


class InvitationViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, TenantViewSet
):
    """Invitations to this tenant. They do not reveal whether the address has an account."""

    serializer_class = InvitationSerializer
    permission_map = dict.fromkeys(
        ("list", "retrieve", "create", "destroy"), Permission.MEMBERS_MANAGE
    )
    fresh_sign_in = frozenset({"create", "destroy"})

    def get_queryset(self) -> QuerySet[Invitation]:
        return self.access.visible(Invitation.objects.all(), Permission.MEMBERS_MANAGE)

    @extend_schema(responses={201: CreatedInvitationSerializer})
    def create(self, request: Request) -> Response:
        return create_invitation(member_access(self.access), request)

    def perform_destroy(self, instance: Invitation) -> None:
        invitations.revoke_invitation(invitation=instance, **self.actor_and_time())


def create_invitation(access: MemberAccess, request: Request) -> Response:
    """Create the invitation in the request body."""
    params = InvitationSerializer(data=request.data)
    params.is_valid(raise_exception=True)
    values = {"is_limited": False, **params.validated_data}
    created, key = invitations.invite_as(access=access, at=clock.now(), **values)
    link = invitations.invitation_link(key) if key else None
    body: dict[str, Any] = {**InvitationSerializer(created).data, "link": link}
    return Response(body, status=status.HTTP_201_CREATED)


class BreakGlassSerializer(serializers.ModelSerializer[BreakGlass]):
    """An access session of a platform operator in this tenant."""

    operator = serializers.CharField(source="user.label", read_only=True)

    class Meta:
        model = BreakGlass
        fields = ["id", "operator", "reason", "opened_at", "expires_at", "closed_at"]
        read_only_fields = fields


class BreakGlassViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Access sessions of platform operators in this tenant. Their actions are in the audit log."""

    serializer_class = BreakGlassSerializer
    permission_map = dict.fromkeys(("list", "retrieve"), Permission.AUDIT_VIEW)

    def get_queryset(self) -> QuerySet[BreakGlass]:
        return self.access.visible(BreakGlass.objects.select_related("user"), Permission.AUDIT_VIEW)
