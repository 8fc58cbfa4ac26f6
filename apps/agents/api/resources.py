"""Agents: who they are, what they watch, how they enroll and end."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents import services
from apps.agents.models import Agent, AgentCertificate, QuarantinedEntity
from apps.agents.selectors import (
    assigned_device_ids,
    certificates_of,
    is_alive,
    quarantined_entities,
)
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.rest.fields import BoundedList
from apps.rest.views import TenantViewSet


class AgentSerializer(serializers.ModelSerializer[Agent]):
    is_alive = serializers.SerializerMethodField()
    is_host_approved = serializers.BooleanField(
        read_only=True, help_text="Router logins are sealed to its host."
    )
    host_key = serializers.CharField(
        read_only=True, help_text="Names the host that it runs on, to approve it; or empty."
    )

    class Meta:
        model = Agent
        fields = [
            "id",
            "name",
            "site",
            "attached_device",
            "source_address",
            "status",
            "is_alive",
            "is_host_approved",
            "host_key",
            "version",
            "hostname",
            "capabilities",
            "health",
            "last_heartbeat_at",
            "heard_address",
            "skewed_since",
            "conflict_at",
            "created_at",
            "enrolled_at",
            "revoked_at",
        ]
        read_only_fields = [
            "status",
            "version",
            "hostname",
            "capabilities",
            "health",
            "last_heartbeat_at",
            "heard_address",
            "skewed_since",
            "conflict_at",
            "created_at",
            "enrolled_at",
            "revoked_at",
        ]

    def get_is_alive(self, agent: Agent) -> bool:
        return is_alive(agent, clock.now())


class CertificateSerializer(serializers.ModelSerializer[AgentCertificate]):
    class Meta:
        model = AgentCertificate
        fields = ["serial", "not_before", "not_after", "issued_at", "revoked_at"]


class AssignmentSerializer(serializers.Serializer[Any]):
    """What an agent watches, as a whole."""

    device_ids = BoundedList(child=serializers.UUIDField(), default=list, max_length=10_000)
    site_ids = BoundedList(child=serializers.UUIDField(), default=list, max_length=1000)
    probe_device_ids = BoundedList(
        child=serializers.UUIDField(),
        default=list,
        max_length=10_000,
        help_text="Routers whose reachability this agent judges from where it sits, whoever watches them.",
    )


class WatchedSerializer(AssignmentSerializer):
    effective_device_ids = serializers.ListField(child=serializers.UUIDField())


class CertificatesSerializer(serializers.Serializer[Any]):
    results = CertificateSerializer(many=True)


class QuarantinedSerializer(serializers.ModelSerializer[QuarantinedEntity]):
    """What the agent sent about one entity that is not assigned to it."""

    names = serializers.ListField(child=serializers.CharField())
    samples = serializers.ListField(child=serializers.DictField())

    class Meta:
        model = QuarantinedEntity
        fields = [
            "entity_type",
            "entity_id",
            "names",
            "samples",
            "count",
            "first_seen_at",
            "last_seen_at",
        ]


class QuarantineSerializer(serializers.Serializer[Any]):
    is_active = serializers.BooleanField(help_text="Something came within the last minute.")
    results = QuarantinedSerializer(many=True)


class EnrollTokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="Shown once.")
    expires_at = serializers.DateTimeField()


class HostApprovalSerializer(serializers.Serializer[Any]):
    """The host as it was read."""

    host_key = serializers.RegexField(r"\A[0-9a-f]{64}\Z", max_length=64)


class RevocationSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=200, allow_blank=True, default="")


class AgentViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Collectors. What they say of themselves is read-only."""

    serializer_class = AgentSerializer
    filters = {"name": "name", "site": "site", "status": "status"}
    orderings = ("name", "created_at")
    etag_ignores = frozenset(
        {
            *("is_alive", "version", "hostname", "capabilities", "health", "last_heartbeat_at"),
            *("heard_address", "skewed_since", "conflict_at", "is_host_approved", "host_key"),
        }
    )
    permission_map = {
        "list": Permission.AGENTS_VIEW,
        "retrieve": Permission.AGENTS_VIEW,
        "certificates": Permission.AGENTS_VIEW,
        "assignments": Permission.AGENTS_VIEW,
        "quarantine": Permission.AGENTS_VIEW,
        "assign": Permission.AGENTS_MANAGE,
        "create": Permission.AGENTS_MANAGE,
        "partial_update": Permission.AGENTS_MANAGE,
        "destroy": Permission.AGENTS_MANAGE,
        "enroll_token": Permission.AGENTS_MANAGE,
        "revoke": Permission.AGENTS_MANAGE,
        "approve_host": Permission.CREDENTIALS_MANAGE,
    }
    #: The token enrolls whoever has it; a revoked agent watches nothing; who reads a router is given its login.
    fresh_sign_in = frozenset({"approve_host", "assign", "enroll_token", "revoke"})

    def get_queryset(self) -> QuerySet[Agent]:
        return self.access.visible(Agent.objects.all(), Permission.AGENTS_VIEW)

    def create(self, request: Request) -> Response:
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        made = services.create_agent(**asked.validated_data, **self._who())
        return Response(self.get_serializer(made).data, status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        agent = self.get_object()
        asked = self.get_serializer(agent, data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        changed = services.update_agent(agent=agent, changes=asked.validated_data, **self._who())
        return Response(self.get_serializer(changed).data)

    def destroy(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        services.delete_agent(agent=self.get_object(), **self._who())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={201: EnrollTokenSerializer})
    @action(detail=True, methods=["post"], url_path="enroll-token")
    def enroll_token(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """A one-time token, shown once; earlier ones end."""
        token = services.issue_enroll_token(agent=self.get_object(), **self._who())
        return Response(
            {"token": token.text, "expires_at": token.expires_at}, status=status.HTTP_201_CREATED
        )

    @extend_schema(request=RevocationSerializer, responses=AgentSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """End the agent: its certificates open nothing any more."""
        asked = RevocationSerializer(data=request.data)
        agent = self.get_object()
        asked.is_valid(raise_exception=True)
        ended = services.revoke_agent(
            agent=agent, reason=asked.validated_data["reason"], **self._who()
        )
        return Response(self.get_serializer(ended).data)

    @extend_schema(request=HostApprovalSerializer, responses=AgentSerializer)
    @action(detail=True, methods=["post"], url_path="approve-host")
    def approve_host(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Let router logins be sealed to the agent's host. A token needs the scope `logins.approve`."""
        agent = self.get_object()
        wanted = HostApprovalSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        approved = services.approve_agent_host(
            agent=agent, host_key=wanted.validated_data["host_key"], **self._who()
        )
        return Response(self.get_serializer(approved).data)

    @extend_schema(responses=WatchedSerializer)
    @action(detail=True)
    def assignments(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """What the agent watches: as it was set, and the devices that follow from it."""
        return Response(_assignment(self.get_object()))

    @extend_schema(request=AssignmentSerializer, responses={200: WatchedSerializer})
    @assignments.mapping.post
    def assign(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Set what the agent watches; replaces what was set before."""
        agent = self.get_object()
        asked = AssignmentSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        services.assign_agent(agent=agent, **asked.validated_data, **self._who())
        return Response(_assignment(agent))

    @extend_schema(responses=QuarantineSerializer)
    @action(detail=True)
    def quarantine(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """What the agent sent about entities that are not assigned to it, newest first; at most 1000 entities."""
        agent = self.get_object()
        rows = QuarantinedSerializer(quarantined_entities(agent.id), many=True).data
        is_active = services.is_quarantining(agent.id, clock.now())
        return Response({"is_active": is_active, "results": rows})

    @extend_schema(responses=CertificatesSerializer)
    @action(detail=True)
    def certificates(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """The agent's certificates, newest first."""
        rows = certificates_of(self.get_object())
        return Response({"results": CertificateSerializer(rows, many=True).data})

    def _who(self) -> dict[str, Any]:
        return {"actor": self.access.actor, "at": clock.now()}


def _assignment(agent: Agent) -> dict[str, Any]:
    return {
        "device_ids": sorted(agent.device_assignments.values_list("device_id", flat=True)),
        "site_ids": sorted(agent.site_assignments.values_list("site_id", flat=True)),
        "probe_device_ids": sorted(agent.probe_assignments.values_list("device_id", flat=True)),
        "effective_device_ids": sorted(assigned_device_ids(agent.id)),
    }
