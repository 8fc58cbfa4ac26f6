"""`my-invitations`: invitations of the signed-in user, independent of any tenant.

Browser sessions only: a token cannot accept for its user.
"""

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from apps.accounts import accept_invitation
from apps.accounts.errors import InvitationUnusable
from apps.accounts.models import User
from apps.authorization.choices import Role
from apps.authorization.permissions import PersonalPermission
from apps.core import clock
from apps.rest.permissions import require_declared_proof
from apps.rest.schema import PlatformAutoSchema

INVITATION = OpenApiParameter("id", UUID, OpenApiParameter.PATH)


class UserSessionAuthentication(SessionAuthentication):
    """Any signed-in user, with or without a tenant."""

    def authenticate_header(self, request: Request) -> str:
        return "Session"


class SignedIn(BasePermission):
    """Every signed-in user has the declared personal permissions."""

    def has_permission(self, request: Request, view: Any) -> bool:
        declared = getattr(view, "permission_map", {}).get(getattr(view, "action", None))
        return isinstance(request.user, User) and isinstance(declared, PersonalPermission)


class PersonalViewSet(ViewSet):
    """The base of views about the user alone. No tenant is set: services set it where they read a tenant's rows."""

    authentication_classes = [UserSessionAuthentication]
    permission_classes = [SignedIn]
    permission_map: Mapping[str, PersonalPermission] = {}
    fresh_sign_in: frozenset[str] = frozenset()
    schema = PlatformAutoSchema()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        require_declared_proof(self, request)

    @property
    def current_user(self) -> User:
        return cast(User, self.request.user)


class MyInvitationSerializer(serializers.Serializer[accept_invitation.PendingInvitation]):
    """An open invitation to a tenant."""

    id = serializers.UUIDField(source="invitation.pk")
    tenant = serializers.CharField(source="tenant.name")
    role = serializers.ChoiceField(source="invitation.role", choices=Role.choices)
    is_limited = serializers.BooleanField(source="invitation.is_limited")
    expires_at = serializers.DateTimeField(source="invitation.expires_at")


class MyInvitationsSerializer(serializers.Serializer[Any]):
    results = MyInvitationSerializer(many=True)


class MyInvitationViewSet(PersonalViewSet):
    """Open invitations of the signed-in user; none while their address is not verified."""

    serializer_class = MyInvitationSerializer
    permission_map = dict.fromkeys(("list", "accept", "decline"), PersonalPermission.INVITATIONS)

    @extend_schema(responses=MyInvitationsSerializer, filters=False)
    def list(self, request: Request) -> Response:
        rows = accept_invitation.pending_invitations(self.current_user, clock.now())
        return Response({"results": [MyInvitationSerializer(row).data for row in rows]})

    @extend_schema(request=None, responses={204: None}, parameters=[INVITATION])
    @action(detail=True, methods=["post"])
    def accept(self, request: Request, pk: str) -> Response:
        """Become a member. The tenant of the session does not change."""
        accept_invitation.accept(user=self.current_user, invitation_id=_uuid(pk), at=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={204: None}, parameters=[INVITATION])
    @action(detail=True, methods=["post"])
    def decline(self, request: Request, pk: str) -> Response:
        """Decline. The tenant sees only that the invitation was declined."""
        accept_invitation.decline(user=self.current_user, invitation_id=_uuid(pk), at=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvitationUnusable from None
