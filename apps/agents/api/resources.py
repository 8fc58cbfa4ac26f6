"""Agents: enrollment, assignments, quarantine, revocation."""

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
from apps.rest.views import PartialUpdateMixin, TenantViewSet


class AgentSerializer(serializers.ModelSerializer[Agent]):
    is_alive = serializers.SerializerMethodField()
    is_host_approved = serializers.BooleanField(
        read_only=True, help_text="Whether router credentials may be sealed to its host."
    )
    host_key = serializers.CharField(
        read_only=True, help_text="Digest of the key of its host, for approval; or empty."
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
            "last_address",
            "skewed_since",
            "clock_skew_seconds",
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
            "last_address",
            "skewed_since",
            "clock_skew_seconds",
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
    """The complete assignment of an agent."""

    device_ids = BoundedList(child=serializers.UUIDField(), default=list, max_length=10_000)
    site_ids = BoundedList(child=serializers.UUIDField(), default=list, max_length=1000)
    probe_device_ids = BoundedList(
        child=serializers.UUIDField(),
        default=list,
        max_length=10_000,
        help_text="Devices that this agent probes, whichever agent polls them.",
    )


class EffectiveAssignmentSerializer(AssignmentSerializer):
    effective_device_ids = serializers.ListField(child=serializers.UUIDField())


class CertificatesSerializer(serializers.Serializer[Any]):
    results = CertificateSerializer(many=True)


class QuarantinedSerializer(serializers.ModelSerializer[QuarantinedEntity]):
    """Data that the agent sent about one entity that is not assigned to it."""

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
    is_active = serializers.BooleanField(help_text="Data was quarantined within the last minute.")
    results = QuarantinedSerializer(many=True)


class EnrollTokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="Shown once.")
    expires_at = serializers.DateTimeField()


class HostApprovalSerializer(serializers.Serializer[Any]):
    """The host key to approve."""

    host_key = serializers.RegexField(r"\A[0-9a-f]{64}\Z", max_length=64)


class RevocationSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=200, allow_blank=True, default="")


class AgentViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    PartialUpdateMixin,
    mixins.DestroyModelMixin,
    TenantViewSet,
):
    """Agents. Reported values are read-only."""

    serializer_class = AgentSerializer
    filters = {"name": "name", "site": "site", "status": "status"}
    orderings = ("name", "created_at")
    etag_ignores = frozenset(
        {
            *("is_alive", "version", "hostname", "capabilities", "health", "last_heartbeat_at"),
            *(
                "last_address",
                "skewed_since",
                "clock_skew_seconds",
                "conflict_at",
                "is_host_approved",
                "host_key",
            ),
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
    #: A token enrolls any host; a revoked agent polls nothing; agents that poll a device receive its credentials.
    fresh_sign_in = frozenset({"approve_host", "assign", "enroll_token", "revoke"})

    def get_queryset(self) -> QuerySet[Agent]:
        return self.access.visible(Agent.objects.all(), Permission.AGENTS_VIEW)

    def perform_create(self, serializer: Any) -> None:
        serializer.instance = services.create_agent(
            **serializer.validated_data, **self.actor_and_time()
        )

    def perform_update(self, serializer: Any) -> None:
        serializer.instance = services.update_agent(
            agent=serializer.instance, changes=serializer.validated_data, **self.actor_and_time()
        )

    def perform_destroy(self, instance: Agent) -> None:
        services.delete_agent(agent=instance, **self.actor_and_time())

    @extend_schema(request=None, responses={201: EnrollTokenSerializer})
    @action(detail=True, methods=["post"], url_path="enroll-token")
    def enroll_token(self, request: Request, pk: str) -> Response:
        """A one-time token, shown once; earlier unused tokens become invalid."""
        token = services.issue_enroll_token(agent=self.get_object(), **self.actor_and_time())
        return Response(
            {"token": token.text, "expires_at": token.expires_at}, status=status.HTTP_201_CREATED
        )

    @extend_schema(request=RevocationSerializer, responses=AgentSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """Revoke the agent and its certificates."""
        serializer = RevocationSerializer(data=request.data)
        agent = self.get_object()
        serializer.is_valid(raise_exception=True)
        revoked = services.revoke_agent(
            agent=agent, reason=serializer.validated_data["reason"], **self.actor_and_time()
        )
        return Response(self.get_serializer(revoked).data)

    @extend_schema(request=HostApprovalSerializer, responses=AgentSerializer)
    @action(detail=True, methods=["post"], url_path="approve-host")
    def approve_host(self, request: Request, pk: str) -> Response:
        """Allow router credentials to be sealed to the agent's host. A token needs the scope `logins.approve`."""
        agent = self.get_object()
        serializer = HostApprovalSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        approved = services.approve_agent_host(
            agent=agent, host_key=serializer.validated_data["host_key"], **self.actor_and_time()
        )
        return Response(self.get_serializer(approved).data)

    @extend_schema(responses=EffectiveAssignmentSerializer)
    @action(detail=True)
    def assignments(self, request: Request, pk: str) -> Response:
        """The agent's assignment, and the devices that it polls as a result."""
        return Response(_assignment(self.get_object()))

    @extend_schema(request=AssignmentSerializer, responses={200: EffectiveAssignmentSerializer})
    @assignments.mapping.post
    def assign(self, request: Request, pk: str) -> Response:
        """Set the agent's assignment; replaces the previous one."""
        agent = self.get_object()
        serializer = AssignmentSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        services.assign_agent(agent=agent, **serializer.validated_data, **self.actor_and_time())
        return Response(_assignment(agent))

    @extend_schema(responses=QuarantineSerializer)
    @action(detail=True)
    def quarantine(self, request: Request, pk: str) -> Response:
        """Data about entities that are not assigned to the agent, newest first; at most 1000 entities."""
        agent = self.get_object()
        rows = QuarantinedSerializer(quarantined_entities(agent.id), many=True).data
        is_active = services.is_quarantining(agent.id, clock.now())
        return Response({"is_active": is_active, "results": rows})

    @extend_schema(responses=CertificatesSerializer)
    @action(detail=True)
    def certificates(self, request: Request, pk: str) -> Response:
        """The agent's certificates, newest first."""
        rows = certificates_of(self.get_object())
        return Response({"results": CertificateSerializer(rows, many=True).data})


def _assignment(agent: Agent) -> dict[str, Any]:
    return {
        "device_ids": sorted(agent.device_assignments.values_list("device_id", flat=True)),
        "site_ids": sorted(agent.site_assignments.values_list("site_id", flat=True)),
        "probe_device_ids": sorted(agent.probe_assignments.values_list("device_id", flat=True)),
        "effective_device_ids": sorted(assigned_device_ids(agent.id)),
    }
