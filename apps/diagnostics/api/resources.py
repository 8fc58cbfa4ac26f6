"""REST of connection tests."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.core import clock
from apps.diagnostics import services
from apps.diagnostics.choices import TestState
from apps.diagnostics.models import ConnectionTest
from apps.diagnostics.selectors import state_of, visible_tests
from apps.inventory.services import credentials_of
from apps.rest.views import TenantViewSet


class ConnectionTestSerializer(serializers.ModelSerializer[ConnectionTest]):
    """A test and its result; ``accepted_credential_set`` is the one that the router accepted."""

    state = serializers.SerializerMethodField()

    class Meta:
        model = ConnectionTest
        _result = [
            "outcome",
            "accepted_credential_set",
            "identity",
            "version",
            "board_name",
            "latency_ms",
            "detail",
        ]
        _request = ["requested_by", "requested_at", "expires_at", "started_at", "finished_at"]
        fields = ["id", "device", "credential_set", "agent", "state", *_result, *_request]
        read_only_fields = ["id", "agent", "state", *_result, *_request]

    @extend_schema_field(serializers.ChoiceField(choices=TestState.choices))
    def get_state(self, row: ConnectionTest) -> str:
        return str(state_of(row, clock.now()))


class ConnectionTestViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Whether a login works on a router, tested by the agent of the device. Without ``credential_set``: with the
    device's own logins."""

    serializer_class = ConnectionTestSerializer
    filters = {"device": "device"}
    orderings = ("requested_at",)
    permission_map = dict.fromkeys(("list", "retrieve", "create"), Permission.DIAGNOSTICS_RUN)

    def get_queryset(self) -> QuerySet[ConnectionTest]:
        return visible_tests(self.access)

    @extend_schema(responses={202: ConnectionTestSerializer})
    def create(self, request: Request) -> Response:
        serializer = ConnectionTestSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        device = serializer.validated_data["device"]
        chosen = serializer.validated_data.get("credential_set")
        if chosen is not None and chosen not in credentials_of([device.id])[device.id]:
            # Testing a login of another device needs the permission to assign it there.
            self.access.require(Permission.CREDENTIALS_MANAGE)
        test = services.request_test(
            device=device, credential_set=chosen, actor=self.access.actor, at=clock.now()
        )
        return Response(ConnectionTestSerializer(test).data, status=status.HTTP_202_ACCEPTED)
