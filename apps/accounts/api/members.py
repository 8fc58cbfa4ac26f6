"""`users`, `memberships`, `roles`."""

from typing import Any, cast

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import members, sessions
from apps.accounts.access import member_access
from apps.accounts.api.tenants import (
    CreatedInvitationSerializer,
    InvitationSerializer,
    create_invitation,
)
from apps.accounts.models import Membership, User
from apps.accounts.tokens import require_role_within
from apps.authorization.choices import Role
from apps.authorization.permissions import ROLE_TABLE, Permission
from apps.core import clock
from apps.rest.views import PartialUpdateMixin, TenantView, TenantViewSet


class UserSerializer(serializers.ModelSerializer[User]):
    name = serializers.CharField(source="label", read_only=True)
    email = serializers.EmailField(source="address", read_only=True)

    class Meta:
        model = User
        fields = ["id", "email", "name", "is_active"]
        read_only_fields = fields


class MembershipSerializer(serializers.ModelSerializer[Membership]):
    """A member of this tenant."""

    user = serializers.UUIDField(source="user_id", read_only=True)
    email = serializers.EmailField(source="user.address", read_only=True)
    name = serializers.CharField(source="user.label", read_only=True)

    class Meta:
        model = Membership
        fields = ["id", "user", "email", "name", "role", "is_limited"]


class RoleSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)
    label = serializers.CharField()  # type: ignore[assignment]  # a field here
    permissions = serializers.ListField(child=serializers.CharField())


class RolesSerializer(serializers.Serializer[Any]):
    results = RoleSerializer(many=True)


class UserViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """The users of this tenant."""

    serializer_class = UserSerializer
    filters = {"email": "email"}
    orderings = ("email",)
    permission_map = dict.fromkeys(("list", "retrieve"), Permission.MEMBERS_VIEW)

    def get_queryset(self) -> QuerySet[User]:
        return User.objects.filter(memberships__tenant_id=self.access.tenant.id)


class MembershipViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    PartialUpdateMixin,
    mixins.DestroyModelMixin,
    TenantViewSet,
):
    """Members of this tenant and their roles. The last admin can neither be removed nor demoted."""

    serializer_class = MembershipSerializer
    filters = {"user": "user_id", "role": "role"}
    orderings = ("role",)
    permission_map = {
        **dict.fromkeys(("list", "retrieve"), Permission.MEMBERS_VIEW),
        **dict.fromkeys(
            ("create", "partial_update", "destroy", "end_sessions"), Permission.MEMBERS_MANAGE
        ),
    }
    fresh_sign_in = frozenset({"create", "partial_update", "destroy", "end_sessions"})

    def get_queryset(self) -> QuerySet[Membership]:
        # A global table: row-level security does not back this filter.
        return Membership.objects.filter(tenant_id=self.access.tenant.id).select_related("user")

    @extend_schema(request=InvitationSerializer, responses={201: CreatedInvitationSerializer})
    def create(self, request: Request) -> Response:
        """Create an invitation, as `POST /invitations/` does. The membership exists once it is accepted."""
        return create_invitation(member_access(self.access), request)

    def perform_update(self, serializer: Any) -> None:
        member, changes = cast(Membership, serializer.instance), serializer.validated_data
        require_role_within(
            member_access(self.access),
            changes.get("role", member.role),
            is_limited=changes.get("is_limited", member.is_limited),
        )
        serializer.instance = members.change_member(
            member=member, changes=changes, **self.actor_and_time()
        )

    def perform_destroy(self, instance: Membership) -> None:
        members.remove_member(member=instance, **self.actor_and_time())

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def end_sessions(self, request: Request, pk: str) -> Response:
        """End the member's sessions in this tenant; sessions in other tenants are not affected."""
        sessions.end_sessions_of_member(
            member=self.get_object(), access=self.access, at=clock.now()
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class RolesView(TenantView):
    """The permissions of each role."""

    permission_map = {"get": Permission.SELF}

    @extend_schema(responses=RolesSerializer)
    def get(self, request: Request) -> Response:
        rows = [
            {"role": role.value, "label": str(role.label), "permissions": sorted(ROLE_TABLE[role])}
            for role in Role
        ]
        return Response({"results": rows})
