"""REST views of incidents."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.core.errors import NotVisible
from apps.incidents import selectors, services
from apps.incidents.api import serializers as incident_serializers
from apps.incidents.limits import OutsideGrant, alerts_within_grant, require_fully_visible
from apps.incidents.lists import INCIDENTS
from apps.incidents.models import Incident
from apps.incidents.models.verdicts import evidence_in_english
from apps.rest.pagination import SignedCursorPagination
from apps.rest.views import EntityListMixin, TenantViewSet


class NewestFirst(SignedCursorPagination):
    ordering = ("-started_at", "-id")  # type: ignore[assignment]  # ties need the id


class IncidentViewSet(EntityListMixin, mixins.ListModelMixin, TenantViewSet):
    """Incidents with their causes, evidence and impact."""

    queryset = Incident.objects.none()
    serializer_class = incident_serializers.IncidentSerializer
    pagination_class = NewestFirst
    entity_list = INCIDENTS
    orderings = INCIDENTS.order_keys
    permission_map = {
        **dict.fromkeys(
            (
                *("list", "retrieve", "timeline", "evidence", "suppressed", "impact"),
                *("revisions", "replay"),
            ),
            Permission.INCIDENTS_VIEW,
        ),
        **dict.fromkeys(
            ("ack", "unack", "assign", "notes", "close"),
            Permission.INCIDENTS_ACT,
        ),
    }

    def get_queryset(self) -> QuerySet[Incident]:
        return Incident.objects.visible_to(self.access)

    @extend_schema(parameters=[INCIDENTS.serializer])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Incidents, newest first."""
        return super().list(request, *args, **kwargs)

    @extend_schema(responses=incident_serializers.IncidentDetailSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """With every cause, its evidence for and against, and alternatives."""
        return Response(self._detail(self.get_object()))

    @extend_schema(request=None, responses=incident_serializers.IncidentDetailSerializer)
    @action(detail=True, methods=["post"])
    def ack(self, request: Request, pk: str) -> Response:
        """Acknowledge it."""
        incident = self.get_object()
        return Response(
            self._detail(
                services.acknowledge_incident(incident_id=incident.id, **self.actor_and_time())
            )
        )

    @extend_schema(request=None, responses=incident_serializers.IncidentDetailSerializer)
    @action(detail=True, methods=["post"])
    def unack(self, request: Request, pk: str) -> Response:
        """Remove the acknowledgement."""
        incident = self.get_object()
        return Response(
            self._detail(
                services.unacknowledge_incident(incident_id=incident.id, **self.actor_and_time())
            )
        )

    @extend_schema(
        request=incident_serializers.AssigneeSerializer,
        responses=incident_serializers.IncidentDetailSerializer,
    )
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: str) -> Response:
        """Assign it to a member; null: unassign it."""
        incident = self.get_object()
        params = self._validated(incident_serializers.AssigneeSerializer, request)
        changed = services.assign_incident(
            incident_id=incident.id, **params, **self.actor_and_time()
        )
        return Response(self._detail(changed))

    @extend_schema(
        request=incident_serializers.NoteSerializer,
        responses={201: incident_serializers.TimelineSerializer},
    )
    @action(detail=True, methods=["post"])
    def notes(self, request: Request, pk: str) -> Response:
        """Add a note."""
        incident = self.get_object()
        params = self._validated(incident_serializers.NoteSerializer, request)
        entry = services.add_note(incident_id=incident.id, **params, **self.actor_and_time())
        return Response(
            incident_serializers.TimelineSerializer(entry).data, status=status.HTTP_201_CREATED
        )

    @extend_schema(
        request=incident_serializers.ReasonSerializer,
        responses=incident_serializers.IncidentDetailSerializer,
    )
    @action(detail=True, methods=["post"])
    def close(self, request: Request, pk: str) -> Response:
        """Close it manually; its alerts alone will not open another one."""
        incident = self.get_object()
        params = self._validated(incident_serializers.ReasonSerializer, request)
        closed = services.close_incident(incident_id=incident.id, **params, **self.actor_and_time())
        return Response(self._detail(closed))

    @extend_schema(responses=incident_serializers.TimelineSerializer(many=True))
    @action(detail=True, methods=["get"])
    def timeline(self, request: Request, pk: str) -> Response:
        """Timeline, oldest first."""
        rows = selectors.timeline_of(self._fully_visible())
        return self._page(rows, incident_serializers.TimelineSerializer, ("at", "id"))

    @extend_schema(responses=incident_serializers.CauseSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None)
    def evidence(self, request: Request, pk: str) -> Response:
        """Every cause with the evidence for and against it."""
        return Response(_causes(self._fully_visible()))

    @extend_schema(responses=incident_serializers.IncidentAlertSerializer(many=True))
    @action(detail=True, methods=["get"])
    def suppressed(self, request: Request, pk: str) -> Response:
        """Suppressed alerts: consequences of the causes."""
        incident = self.get_object()
        rows = selectors.alerts_of(incident).filter(is_suppressed=True)
        if self.access.is_limited:
            rows = alerts_within_grant(self.access, rows)
        return self._page(rows, incident_serializers.IncidentAlertSerializer, ("entity_name", "id"))

    @extend_schema(responses=incident_serializers.ImpactDetailSerializer)
    @action(detail=True, methods=["get"])
    def impact(self, request: Request, pk: str) -> Response:
        """Affected entities, by id."""
        incident = self.get_object()
        affected = selectors.impact_of(self.access, incident)
        return Response({**incident_serializers.ImpactSerializer(incident).data, **affected})

    @extend_schema(responses=incident_serializers.RevisionSerializer(many=True))
    @action(detail=True, methods=["get"])
    def revisions(self, request: Request, pk: str) -> Response:
        """Every stored verdict."""
        rows = selectors.revisions_of(self._fully_visible())
        return self._page(rows, incident_serializers.RevisionSerializer, ("number",))

    @extend_schema(
        request=incident_serializers.ReplayRequestSerializer,
        responses=incident_serializers.ReplaySerializer,
    )
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, pk: str) -> Response:
        """Compute a stored verdict again from its snapshot (the newest, unless a revision is given)."""
        incident = self._fully_visible()
        number = self._validated(incident_serializers.ReplayRequestSerializer, request).get(
            "revision"
        )
        rows = selectors.revisions_of(incident).select_related("snapshot__graph")
        revision = rows.filter(number=number or incident.revision).first()
        if revision is None:
            raise NotVisible
        replay = services.replay_revision(revision)
        body = {
            "revision": revision.number,
            "stored_digest": replay.stored_digest,
            "computed_digest": replay.computed_digest,
        }
        return Response({**body, "is_same": replay.is_same})

    def _fully_visible(self) -> Incident:
        """For views that name every entity of the incident."""
        incident: Incident = self.get_object()
        require_fully_visible(self.access, incident)
        return incident

    def _is_fully_visible(self, incident: Incident) -> bool:
        try:
            require_fully_visible(self.access, incident)
        except OutsideGrant:
            return False
        return True

    def _validated(
        self, serializer_class: type[serializers.Serializer[Any]], request: Request
    ) -> dict[str, Any]:
        params = serializer_class(data=request.data)
        params.is_valid(raise_exception=True)
        return dict(params.validated_data)

    def _detail(self, incident: Incident) -> dict[str, Any]:
        if self.access.is_limited:
            incident = self.get_object()
            row = incident_serializers.IncidentSerializer(incident).data
            return {
                **row,
                "root_causes": _causes(incident) if self._is_fully_visible(incident) else [],
            }
        row = incident_serializers.IncidentSerializer(incident).data
        return {**row, "root_causes": _causes(incident)}

    def _page(
        self,
        rows: QuerySet[Any],
        serializer_class: type[serializers.ModelSerializer[Any]],
        ordering: tuple[str, ...],
    ) -> Response:
        pages = SignedCursorPagination()
        pages.ordering = ordering  # type: ignore[assignment]  # ties need the id
        page = pages.paginate_queryset(rows, self.request, view=self) or []
        return pages.get_paginated_response(serializer_class(page, many=True).data)


def _causes(incident: Incident) -> list[dict[str, Any]]:
    return [
        {
            **{name: cause[name] for name in ("entity_type", "entity_id", "name")},
            "classification": cause["classification"],
            "confidence": cause["confidence"],
            "evidence": evidence_in_english(cause["evidence"]),
            "alternatives": cause["alternatives"],
        }
        for cause in selectors.problem_of(incident)["causes"]
    ]
