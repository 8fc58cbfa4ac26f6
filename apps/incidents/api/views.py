"""The queue, one incident, and what people do with it."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.alerts.choices import Severity
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.core.errors import NotVisible
from apps.incidents import selectors, services
from apps.incidents.api import serializers as shapes
from apps.incidents.choices import IncidentStatus
from apps.incidents.limits import OutsideGrant, require_whole, seen_alerts
from apps.incidents.models import Incident
from apps.rest.pagination import CursorPages
from apps.rest.views import TenantViewSet


class NewestFirst(CursorPages):
    ordering = ("-started_at", "-id")  # type: ignore[assignment]  # ties need the id


class FilterSerializer(serializers.Serializer[Any]):
    """Filters of the queue."""

    status = serializers.ChoiceField(choices=IncidentStatus.choices, required=False)
    severity = serializers.ChoiceField(choices=Severity.choices, required=False)
    number = serializers.IntegerField(min_value=1, required=False)
    root_id = serializers.UUIDField(required=False)
    started_after = serializers.DateTimeField(required=False)


FILTERS = [
    OpenApiParameter("status", str, enum=IncidentStatus.values),
    OpenApiParameter("severity", str, enum=Severity.values),
    OpenApiParameter("number", int),
    OpenApiParameter("root_id", str, description="Id of the first cause's entity."),
    OpenApiParameter("started_after", str, description="RFC 3339."),
]


class IncidentViewSet(mixins.ListModelMixin, TenantViewSet):
    """Incidents: each with its cause, the proof and who is hit."""

    queryset = Incident.objects.none()
    serializer_class = shapes.IncidentSerializer
    pagination_class = NewestFirst
    orderings = ("started_at", "opened_at", "number")
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
        return selectors.visible_incidents(self.access)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.action != "list":
            return queryset
        asked = FilterSerializer(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        wanted = dict(asked.validated_data)
        if "started_after" in wanted:
            wanted["started_at__gt"] = wanted.pop("started_after")
        if self.access.is_limited and "root_id" in wanted:
            wanted["is_root_seen"] = True
        return queryset.filter(**wanted)

    @extend_schema(parameters=FILTERS)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Newest first."""
        return super().list(request, *args, **kwargs)

    @extend_schema(responses=shapes.IncidentDetailSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """With every cause, its evidence for and against, and what else it could have been."""
        return Response(self._detail(self.get_object()))

    @extend_schema(request=None, responses=shapes.IncidentDetailSerializer)
    @action(detail=True, methods=["post"])
    def ack(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Take it."""
        incident = self.get_object()
        return Response(
            self._detail(services.acknowledge_incident(incident_id=incident.id, **self._who()))
        )

    @extend_schema(request=None, responses=shapes.IncidentDetailSerializer)
    @action(detail=True, methods=["post"])
    def unack(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Give it back to the queue."""
        incident = self.get_object()
        return Response(
            self._detail(services.unacknowledge_incident(incident_id=incident.id, **self._who()))
        )

    @extend_schema(request=shapes.AssigneeSerializer, responses=shapes.IncidentDetailSerializer)
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Give it to a member; null: to nobody."""
        incident = self.get_object()
        asked = self._asked(shapes.AssigneeSerializer, request)
        changed = services.assign_incident(incident_id=incident.id, **asked, **self._who())
        return Response(self._detail(changed))

    @extend_schema(request=shapes.NoteSerializer, responses={201: shapes.TimelineSerializer})
    @action(detail=True, methods=["post"])
    def notes(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Write a note."""
        incident = self.get_object()
        asked = self._asked(shapes.NoteSerializer, request)
        entry = services.add_note(incident_id=incident.id, **asked, **self._who())
        return Response(shapes.TimelineSerializer(entry).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=shapes.ReasonSerializer, responses=shapes.IncidentDetailSerializer)
    @action(detail=True, methods=["post"])
    def close(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Close it by hand; its alerts alone will not open another one."""
        incident = self.get_object()
        asked = self._asked(shapes.ReasonSerializer, request)
        closed = services.close_incident(incident_id=incident.id, **asked, **self._who())
        return Response(self._detail(closed))

    @extend_schema(responses=shapes.TimelineSerializer(many=True))
    @action(detail=True, methods=["get"])
    def timeline(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Its story, oldest first."""
        rows = selectors.timeline_of(self._whole())
        return self._page(rows, shapes.TimelineSerializer, ("at", "id"))

    @extend_schema(responses=shapes.CauseSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None)
    def evidence(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Every cause with what speaks for and against it."""
        return Response(_causes(self._whole()))

    @extend_schema(responses=shapes.IncidentAlertSerializer(many=True))
    @action(detail=True, methods=["get"])
    def suppressed(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """The alerts that are consequences."""
        incident = self.get_object()
        rows = selectors.alerts_of(incident).filter(is_suppressed=True)
        if self.access.is_limited:
            rows = seen_alerts(self.access, rows)
        return self._page(rows, shapes.IncidentAlertSerializer, ("entity_name", "id"))

    @extend_schema(responses=shapes.ImpactDetailSerializer)
    @action(detail=True, methods=["get"])
    def impact(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Who is hit, by id."""
        incident = self.get_object()
        hit = selectors.impact_of(self.access, incident)
        return Response({**shapes.ImpactSerializer(incident).data, **hit})

    @extend_schema(responses=shapes.RevisionSerializer(many=True))
    @action(detail=True, methods=["get"])
    def revisions(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Every verdict that was given."""
        rows = selectors.revisions_of(self._whole())
        return self._page(rows, shapes.RevisionSerializer, ("number",))

    @extend_schema(request=shapes.ReplayRequestSerializer, responses=shapes.ReplaySerializer)
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Reach a stored verdict again from its snapshot (the newest, unless a revision is named)."""
        incident = self._whole()
        number = self._asked(shapes.ReplayRequestSerializer, request).get("revision")
        rows = selectors.revisions_of(incident).select_related("snapshot__graph")
        revision = rows.filter(number=number or incident.revision).first()
        if revision is None:
            raise NotVisible
        replay = services.replay_revision(revision)
        body = {"revision": revision.number, "then": replay.then, "now": replay.now}
        return Response({**body, "is_same": replay.is_same})

    def _who(self) -> dict[str, Any]:
        return {"actor": self.access.actor, "at": clock.now()}

    def _whole(self) -> Incident:
        """For what names everything that is under it."""
        incident: Incident = self.get_object()
        require_whole(self.access, incident)
        return incident

    def _is_whole(self, incident: Incident) -> bool:
        try:
            require_whole(self.access, incident)
        except OutsideGrant:
            return False
        return True

    def _asked(self, shape: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
        asked = shape(data=request.data)
        asked.is_valid(raise_exception=True)
        return dict(asked.validated_data)

    def _detail(self, incident: Incident) -> dict[str, Any]:
        if self.access.is_limited:
            incident = self.get_object()
            row = shapes.IncidentSerializer(incident).data
            return {**row, "root_causes": _causes(incident) if self._is_whole(incident) else []}
        row = shapes.IncidentSerializer(incident).data
        return {**row, "root_causes": _causes(incident)}

    def _page(
        self,
        rows: QuerySet[Any],
        shape: type[serializers.ModelSerializer[Any]],
        ordering: tuple[str, ...],
    ) -> Response:
        pages = CursorPages()
        pages.ordering = ordering  # type: ignore[assignment]  # ties need the id
        page = pages.paginate_queryset(rows, self.request, view=self) or []
        return pages.get_paginated_response(shape(page, many=True).data)


def _causes(incident: Incident) -> list[dict[str, Any]]:
    return [
        {
            **{name: cause[name] for name in ("entity_type", "entity_id", "name")},
            "classification": cause["classification"],
            "confidence": cause["confidence"],
            "evidence": [{"speaks_for": s["for"], **_without(s, "for")} for s in cause["signs"]],
            "rivals": cause["rivals"],
        }
        for cause in selectors.trouble_of(incident)["causes"]
    ]


def _without(item: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != name}
