"""`tenants`, `invitations` and `break-glass`: the tenant as its own people see it."""

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
    """The tenant that one works in. Its slug never changes."""

    class Meta:
        model = Tenant
        fields = ["id", "slug", "name", "is_active", "created_at"]
        read_only_fields = ["id", "slug", "is_active", "created_at"]


class SignInPolicySerializer(serializers.Serializer[Any]):
    """Who must have a second factor to work in this tenant. Platform operators always must."""

    second_factor_roles = serializers.ListField(
        child=serializers.ChoiceField(choices=Role.choices),
        max_length=len(Role.values),
        help_text="Roles whose people need a second factor: they set one up before anything else opens.",
    )
    accepts_provider_factor = serializers.BooleanField(
        help_text="Whether an identity provider that names `mfa` in `amr` is enough."
    )


class TenantsViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """The caller's own tenant, and no other."""

    serializer_class = TenantSerializer
    permission_map = {
        **dict.fromkeys(("list", "retrieve"), Permission.SELF),
        **dict.fromkeys(
            ("partial_update", "sign_in_policy", "set_sign_in_policy"), Permission.TENANT_MANAGE
        ),
    }
    fresh_sign_in = frozenset({"set_sign_in_policy"})

    def get_queryset(self) -> QuerySet[Tenant]:
        # A global table: no policy stands behind this filter.
        return Tenant.objects.filter(pk=self.access.tenant.pk)

    def partial_update(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        tenant = self.get_object()
        asked = self.get_serializer(tenant, data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        if "name" in asked.validated_data:
            tenant = platform.rename_tenant(
                tenant=tenant,
                name=asked.validated_data["name"],
                actor=self.access.actor,
                at=clock.now(),
            )
        return Response(self.get_serializer(tenant).data)

    @extend_schema(responses=SignInPolicySerializer)
    @action(detail=True, methods=["get"], url_path="sign-in-policy")
    def sign_in_policy(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Which roles need a second factor."""
        return Response(SignInPolicySerializer(self.get_object()).data)

    @extend_schema(request=SignInPolicySerializer, responses=SignInPolicySerializer)
    @sign_in_policy.mapping.put
    def set_sign_in_policy(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Say which roles need a second factor; it acts on the next request of each session."""
        tenant = self.get_object()
        asked = SignInPolicySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        tenant = factor_policy.set_sign_in_policy(
            tenant=tenant, actor=self.access.actor, at=clock.now(), **asked.validated_data
        )
        return Response(SignInPolicySerializer(tenant).data)


class LinkInvitationSerializer(serializers.ModelSerializer[Invitation]):
    """Somebody asked to become a member here, with the role that they will have."""

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


class MadeLinkInvitationSerializer(LinkInvitationSerializer):
    link = serializers.URLField(
        read_only=True,
        allow_null=True,
        help_text="Shown once: hand it over yourself. Null where the platform sends it by mail.",
    )

    class Meta(LinkInvitationSerializer.Meta):
        fields = [*LinkInvitationSerializer.Meta.fields, "link"]


class InvitationViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Who is asked to become a member here. Whether the address has an account is neither asked nor answered."""

    serializer_class = LinkInvitationSerializer
    permission_map = dict.fromkeys(
        ("list", "retrieve", "create", "destroy"), Permission.MEMBERS_MANAGE
    )
    fresh_sign_in = frozenset({"create", "destroy"})

    def get_queryset(self) -> QuerySet[Invitation]:
        return self.access.visible(Invitation.objects.all(), Permission.MEMBERS_MANAGE)

    @extend_schema(responses={201: MadeLinkInvitationSerializer})
    def create(self, request: Request) -> Response:
        return invited(member_access(self.access), request)

    def destroy(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        invitations.revoke_invitation(
            invitation=self.get_object(), actor=self.access.actor, at=clock.now()
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


def invited(access: MemberAccess, request: Request) -> Response:
    """Invite whom the body names."""
    params = LinkInvitationSerializer(data=request.data)
    params.is_valid(raise_exception=True)
    given = {"is_limited": False, **params.validated_data}
    created, key = invitations.invite_as(access=access, at=clock.now(), **given)
    link = invitations.link_of(key) if key else None
    body: dict[str, Any] = {**LinkInvitationSerializer(created).data, "link": link}
    return Response(body, status=status.HTTP_201_CREATED)


class BreakGlassSerializer(serializers.ModelSerializer[BreakGlass]):
    """A platform operator's stay in this tenant."""

    operator = serializers.CharField(source="user.label", read_only=True)

    class Meta:
        model = BreakGlass
        fields = ["id", "operator", "reason", "opened_at", "expires_at", "closed_at"]
        read_only_fields = fields


class BreakGlassViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Who of the installation's operators was in this tenant, why and how long. What they did is in the audit log."""

    serializer_class = BreakGlassSerializer
    permission_map = dict.fromkeys(("list", "retrieve"), Permission.AUDIT_VIEW)

    def get_queryset(self) -> QuerySet[BreakGlass]:
        return self.access.visible(BreakGlass.objects.select_related("user"), Permission.AUDIT_VIEW)
