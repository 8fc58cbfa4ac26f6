"""`sessions`: the caller's own open sessions."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import sessions
from apps.accounts.access import member_access
from apps.accounts.models import OpenSession
from apps.accounts.session_store import row_key
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.core.errors import Forbidden
from apps.rest.permissions import is_session
from apps.rest.views import TenantViewSet


class OpenSessionSerializer(serializers.ModelSerializer[OpenSession]):
    is_current = serializers.SerializerMethodField(
        help_text="Whether it is the session of this request."
    )

    class Meta:
        model = OpenSession
        fields = [
            "id",
            "device",
            "address",
            "method",
            "opened_at",
            "last_seen_at",
            "is_current",
        ]
        read_only_fields = fields

    def get_is_current(self, row: OpenSession) -> bool:
        request = self.context["request"]
        return is_session(request) and row.session_id == row_key(request.session)


class SessionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """The caller's own open sessions in all tenants (for a token: in its tenant only). Deleting one signs that browser
    out."""

    serializer_class = OpenSessionSerializer
    etag_ignores = frozenset({"last_seen_at", "address", "is_current"})
    permission_map = dict.fromkeys(("list", "retrieve", "destroy", "end_others"), Permission.SELF)

    def get_queryset(self) -> QuerySet[OpenSession]:
        if getattr(self, "swagger_fake_view", False):  # the schema generator has no caller
            return OpenSession.objects.none()
        # A global table: row-level security does not back this filter.
        return sessions.sessions_of(
            member_access(self.access).user, clock.now(), **self._tenant_filter()
        )

    def destroy(self, request: Request, pk: str) -> Response:
        session = self.get_object()
        self._require_unscoped()
        sessions.end_session(session=session, actor=self.access.actor, at=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={204: None})
    @action(detail=False, methods=["post"], url_path="end-others")
    def end_others(self, request: Request) -> Response:
        """Sign out all other browsers; with a token, all browsers that work in its tenant."""
        self._require_unscoped()
        keep = row_key(request.session) if is_session(request) else None
        sessions.end_other_sessions(
            user=member_access(self.access).user,
            keep=keep,
            actor=self.access.actor,
            at=clock.now(),
            **self._tenant_filter(),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _tenant_filter(self) -> dict[str, UUID]:
        """A token neither sees nor ends its user's sessions in other tenants."""
        return {"tenant_id": self.access.tenant.pk} if member_access(self.access).token else {}

    def _require_unscoped(self) -> None:
        """A token with limited scopes may not end sessions."""
        if self.access.scopes is not None:
            raise Forbidden(message="A token with limited scopes cannot end sessions.")
