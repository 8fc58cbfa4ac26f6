"""The newest values of metrics."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agent.protocol.registry import ENTITY_TYPES, EVENTS, METRICS
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.core.errors import NotVisible
from apps.inventory.limits import visible_entities
from apps.rest.views import TenantView
from apps.telemetry import queries
from apps.telemetry.models import Event

MOST_VALUES = 5000
MOST_EVENTS = 500
#: Raw samples are for a close look; longer spans are drawn from aggregates.
LONGEST_SPAN = timedelta(hours=24)


class LatestFilterSerializer(serializers.Serializer[Any]):
    metric = serializers.ChoiceField(choices=sorted(METRICS))
    entity_type = serializers.ChoiceField(choices=list(ENTITY_TYPES), required=False)
    entity_id = serializers.UUIDField(required=False)


class LatestSerializer(serializers.Serializer[Any]):
    """One reading; ``value`` or ``text``, never both."""

    entity_type = serializers.CharField()
    entity_id = serializers.UUIDField()
    metric = serializers.CharField()
    labels = serializers.CharField(allow_blank=True)
    ts = serializers.DateTimeField()
    value = serializers.FloatField(allow_null=True)
    text = serializers.CharField(allow_null=True)


class LatestPageSerializer(serializers.Serializer[Any]):
    results = LatestSerializer(many=True)
    is_truncated = serializers.BooleanField(help_text=f"Only {MOST_VALUES} are shown.")


class LatestView(TenantView):
    """The newest value of one metric, of every entity or of one. A value that nobody read is not there."""

    permission_map = {"get": Permission.TELEMETRY_VIEW}
    expensive = frozenset({"get"})

    @extend_schema(
        parameters=[
            OpenApiParameter("metric", str, required=True, description="A registered name."),
            OpenApiParameter("entity_type", str, enum=list(ENTITY_TYPES)),
            OpenApiParameter("entity_id", str),
        ],
        responses=LatestPageSerializer,
    )
    def get(self, request: Request) -> Response:
        asked = LatestFilterSerializer(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        entity_ids = [wanted["entity_id"]] if "entity_id" in wanted else None
        found = queries.latest(metrics=[wanted["metric"]], entity_ids=entity_ids)
        if self.access.is_limited:
            seen = visible_entities(self.access, {(k.entity_type, k.entity_id) for k in found})
            found = {k: row for k, row in found.items() if (k.entity_type, k.entity_id) in seen}
        rows = [
            {
                "entity_type": key.entity_type,
                "entity_id": key.entity_id,
                "metric": key.metric,
                "labels": key.labels,
                "ts": row.ts,
                "value": row.value,
                "text": row.text,
            }
            for key, row in sorted(found.items(), key=lambda item: str(item[0]))
            if wanted.get("entity_type", key.entity_type) == key.entity_type
        ]
        shown = LatestSerializer(rows[:MOST_VALUES], many=True).data
        return Response({"results": shown, "is_truncated": len(rows) > MOST_VALUES})


class QueryFilterSerializer(serializers.Serializer[Any]):
    metric = serializers.ChoiceField(choices=sorted(METRICS))
    entity_id = serializers.UUIDField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()

    def validate(self, attrs: Any) -> Any:
        span = attrs["end"] - attrs["start"]
        if not timedelta(0) < span <= LONGEST_SPAN:
            raise serializers.ValidationError("More than no time, and at most 24 hours.")
        return attrs


class PointSerializer(serializers.Serializer[Any]):
    ts = serializers.DateTimeField()
    value = serializers.FloatField()


class QueryPageSerializer(serializers.Serializer[Any]):
    points = PointSerializer(many=True)
    is_truncated = serializers.BooleanField(help_text=f"Only the first {MOST_VALUES} are shown.")


class QueryView(TenantView):
    """One metric of one entity as it was read, oldest first. Where nothing was read there is nothing."""

    permission_map = {"get": Permission.TELEMETRY_VIEW}

    @extend_schema(
        parameters=[
            OpenApiParameter("metric", str, required=True, description="A registered name."),
            OpenApiParameter("entity_id", UUID, required=True),
            OpenApiParameter("start", datetime, required=True, description="From this moment on."),
            OpenApiParameter("end", datetime, required=True, description="Before this moment."),
        ],
        responses=QueryPageSerializer,
    )
    def get(self, request: Request) -> Response:
        asked = QueryFilterSerializer(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        ref = (METRICS[wanted["metric"]].entity_type, wanted["entity_id"])
        if self.access.is_limited and ref not in visible_entities(self.access, {ref}):
            raise NotVisible
        points = queries.points_of(
            metric=wanted["metric"],
            entity_id=wanted["entity_id"],
            since=wanted["start"],
            until=wanted["end"],
            limit=MOST_VALUES + 1,
        )
        rows = [{"ts": ts, "value": value} for ts, value in points[:MOST_VALUES]]
        shown = PointSerializer(rows, many=True).data
        return Response({"points": shown, "is_truncated": len(points) > MOST_VALUES})


class EventFilterSerializer(serializers.Serializer[Any]):
    entity_id = serializers.UUIDField()
    event_type = serializers.ChoiceField(choices=sorted(EVENTS), required=False)
    since = serializers.DateTimeField(required=False)


class EventSerializer(serializers.ModelSerializer[Event]):
    payload = serializers.DictField(help_text="What changed; its names depend on the type.")

    class Meta:
        model = Event
        fields = [
            "event_id",
            "ts",
            "event_type",
            "severity",
            "entity_type",
            "entity_id",
            "payload",
            "received_at",
        ]


class EventPageSerializer(serializers.Serializer[Any]):
    results = EventSerializer(many=True)
    is_truncated = serializers.BooleanField(help_text=f"Only the newest {MOST_EVENTS} are shown.")


class EventsView(TenantView):
    """What was reported of one entity, the newest first: changes of state, reboots, changed configuration."""

    permission_map = {"get": Permission.TELEMETRY_VIEW}

    @extend_schema(
        parameters=[
            OpenApiParameter("entity_id", UUID, required=True),
            OpenApiParameter("event_type", str, enum=sorted(EVENTS)),
            OpenApiParameter("since", datetime, description="The last day, unless it says more."),
        ],
        responses=EventPageSerializer,
    )
    def get(self, request: Request) -> Response:
        asked = EventFilterSerializer(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        now = clock.now()
        rows = queries.events_of(
            entity_ids=[wanted["entity_id"]],
            event_type=wanted.get("event_type"),
            since=wanted.get("since", now - timedelta(days=1)),
            until=now + timedelta(minutes=5),
            limit=MOST_EVENTS + 1,
        )
        if self.access.is_limited:
            seen = visible_entities(self.access, {(row.entity_type, row.entity_id) for row in rows})
            rows = [row for row in rows if (row.entity_type, row.entity_id) in seen]
        shown = EventSerializer(rows[:MOST_EVENTS], many=True).data
        return Response({"results": shown, "is_truncated": len(rows) > MOST_EVENTS})
