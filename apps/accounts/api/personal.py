"""`my-invitations`: what waits for the signed-in person's own answer, whatever tenant they work in, or none.

Sessions only: a token never accepts in its person's name.
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

from apps.accounts import accepting
from apps.accounts.errors import InvitationUnusable
from apps.accounts.models import User
from apps.authorization.choices import Role
from apps.authorization.permissions import PersonalPermission
from apps.core import clock
from apps.rest.permissions import require_declared_proof
from apps.rest.schema import PlatformAutoSchema

INVITATION = OpenApiParameter("id", UUID, OpenApiParameter.PATH)


class PersonAuthentication(SessionAuthentication):
    """Whoever is signed in, in whatever tenant."""

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        return "Session"


class SignedIn(BasePermission):
    """Everybody has what is declared, over what is their own."""

    def has_permission(self, request: Request, view: Any) -> bool:
        declared = getattr(view, "permission_map", {}).get(getattr(view, "action", None))
        return isinstance(request.user, User) and isinstance(declared, PersonalPermission)


class PersonalViewSet(ViewSet):
    """The base of views about the person alone: no tenant is set, so no tenant's row is seen but by their services."""

    authentication_classes = [PersonAuthentication]
    permission_classes = [SignedIn]
    permission_map: Mapping[str, PersonalPermission] = {}
    fresh_sign_in: frozenset[str] = frozenset()
    schema = PlatformAutoSchema()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        require_declared_proof(self, request)

    @property
    def person(self) -> User:
        return cast(User, self.request.user)


class MyInvitationSerializer(serializers.Serializer[accepting.Pending]):
    """A tenant that asks the person to become a member."""

    id = serializers.UUIDField(source="invitation.pk")
    tenant = serializers.CharField(source="tenant.name")
    role = serializers.ChoiceField(source="invitation.role", choices=Role.choices)
    is_limited = serializers.BooleanField(source="invitation.is_limited")
    expires_at = serializers.DateTimeField(source="invitation.expires_at")


class MyInvitationsSerializer(serializers.Serializer[Any]):
    results = MyInvitationSerializer(many=True)


class MyInvitationViewSet(PersonalViewSet):
    """Invitations to the signed-in person, who answers them. Of an address that was never proven there are none."""

    serializer_class = MyInvitationSerializer
    permission_map = dict.fromkeys(("list", "accept", "decline"), PersonalPermission.INVITATIONS)

    @extend_schema(responses=MyInvitationsSerializer, filters=False)
    def list(self, request: Request) -> Response:  # noqa: ARG002
        rows = accepting.pending_invitations(self.person, clock.now())
        return Response({"results": [MyInvitationSerializer(row).data for row in rows]})

    @extend_schema(request=None, responses={204: None}, parameters=[INVITATION])
    @action(detail=True, methods=["post"])
    def accept(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Become a member. The session stays in the tenant that it works in."""
        accepting.accept(user=self.person, invitation_id=_uuid(pk), at=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={204: None}, parameters=[INVITATION])
    @action(detail=True, methods=["post"])
    def decline(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Say no: the tenant sees that, and nothing else of the person."""
        accepting.decline(user=self.person, invitation_id=_uuid(pk), at=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvitationUnusable from None
