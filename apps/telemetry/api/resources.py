"""REST of latest values, raw samples and events."""

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

MAX_VALUES = 5000
MAX_EVENTS = 500
#: Raw samples are for short ranges; longer ones are charted from aggregates.
MAX_RANGE = timedelta(hours=24)


class LatestFilterSerializer(serializers.Serializer[Any]):
    metric = serializers.ChoiceField(choices=sorted(METRICS))
    entity_type = serializers.ChoiceField(choices=list(ENTITY_TYPES), required=False)
    entity_id = serializers.UUIDField(required=False)


class LatestSerializer(serializers.Serializer[Any]):
    """One latest value; ``value`` or ``text``, never both."""

    entity_type = serializers.CharField()
    entity_id = serializers.UUIDField()
    metric = serializers.CharField()
    labels = serializers.CharField(allow_blank=True)
    ts = serializers.DateTimeField()
    value = serializers.FloatField(allow_null=True)
    text = serializers.CharField(allow_null=True)


class LatestPageSerializer(serializers.Serializer[Any]):
    results = LatestSerializer(many=True)
    is_truncated = serializers.BooleanField(help_text=f"Only {MAX_VALUES} are shown.")


class LatestView(TenantView):
    """The newest value of one metric, of every entity or of one. Entities without samples are absent."""

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
        serializer = LatestFilterSerializer(data=request.query_params.dict())
        serializer.is_valid(raise_exception=True)
        params = serializer.validated_data
        entity_ids = [params["entity_id"]] if "entity_id" in params else None
        latest_values = queries.latest(metrics=[params["metric"]], entity_ids=entity_ids)
        if self.access.is_limited:
            visible = visible_entities(
                self.access, {(k.entity_type, k.entity_id) for k in latest_values}
            )
            latest_values = {
                k: row
                for k, row in latest_values.items()
                if (k.entity_type, k.entity_id) in visible
            }
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
            for key, row in sorted(latest_values.items(), key=lambda item: str(item[0]))
            if params.get("entity_type", key.entity_type) == key.entity_type
        ]
        serialized = LatestSerializer(rows[:MAX_VALUES], many=True).data
        return Response({"results": serialized, "is_truncated": len(rows) > MAX_VALUES})


class QueryFilterSerializer(serializers.Serializer[Any]):
    metric = serializers.ChoiceField(choices=sorted(METRICS))
    entity_id = serializers.UUIDField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()

    def validate(self, attrs: Any) -> Any:
        duration = attrs["end"] - attrs["start"]
        if not timedelta(0) < duration <= MAX_RANGE:
            raise serializers.ValidationError(
                "The end must be after the start, by at most 24 hours."
            )
        return attrs


class PointSerializer(serializers.Serializer[Any]):
    ts = serializers.DateTimeField()
    value = serializers.FloatField()


class QueryPageSerializer(serializers.Serializer[Any]):
    points = PointSerializer(many=True)
    is_truncated = serializers.BooleanField(help_text=f"Only the first {MAX_VALUES} are shown.")


class QueryView(TenantView):
    """Raw samples of one metric of one entity, oldest first. Gaps stay gaps."""

    permission_map = {"get": Permission.TELEMETRY_VIEW}

    @extend_schema(
        parameters=[
            OpenApiParameter("metric", str, required=True, description="A registered name."),
            OpenApiParameter("entity_id", UUID, required=True),
            OpenApiParameter(
                "start", datetime, required=True, description="Start of the time range, inclusive."
            ),
            OpenApiParameter(
                "end", datetime, required=True, description="End of the time range, exclusive."
            ),
        ],
        responses=QueryPageSerializer,
    )
    def get(self, request: Request) -> Response:
        serializer = QueryFilterSerializer(data=request.query_params.dict())
        serializer.is_valid(raise_exception=True)
        params = serializer.validated_data
        ref = (METRICS[params["metric"]].entity_type, params["entity_id"])
        if self.access.is_limited and ref not in visible_entities(self.access, {ref}):
            raise NotVisible
        points = queries.points_of(
            metric=params["metric"],
            entity_id=params["entity_id"],
            since=params["start"],
            until=params["end"],
            limit=MAX_VALUES + 1,
        )
        rows = [{"ts": ts, "value": value} for ts, value in points[:MAX_VALUES]]
        serialized = PointSerializer(rows, many=True).data
        return Response({"points": serialized, "is_truncated": len(points) > MAX_VALUES})


class EventFilterSerializer(serializers.Serializer[Any]):
    entity_id = serializers.UUIDField()
    event_type = serializers.ChoiceField(choices=sorted(EVENTS), required=False)
    since = serializers.DateTimeField(required=False)


class EventSerializer(serializers.ModelSerializer[Event]):
    payload = serializers.DictField(help_text="What changed; the names depend on the event type.")

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
    is_truncated = serializers.BooleanField(help_text=f"Only the newest {MAX_EVENTS} are shown.")


class EventsView(TenantView):
    """Events of one entity, the newest first: state changes, reboots, configuration changes."""

    permission_map = {"get": Permission.TELEMETRY_VIEW}

    @extend_schema(
        parameters=[
            OpenApiParameter("entity_id", UUID, required=True),
            OpenApiParameter("event_type", str, enum=sorted(EVENTS)),
            OpenApiParameter("since", datetime, description="Default: the last 24 hours."),
        ],
        responses=EventPageSerializer,
    )
    def get(self, request: Request) -> Response:
        serializer = EventFilterSerializer(data=request.query_params.dict())
        serializer.is_valid(raise_exception=True)
        params = serializer.validated_data
        now = clock.now()
        rows = queries.events_of(
            entity_ids=[params["entity_id"]],
            event_type=params.get("event_type"),
            since=params.get("since", now - timedelta(days=1)),
            until=now + timedelta(minutes=5),
            limit=MAX_EVENTS + 1,
        )
        if self.access.is_limited:
            visible = visible_entities(
                self.access, {(row.entity_type, row.entity_id) for row in rows}
            )
            rows = [row for row in rows if (row.entity_type, row.entity_id) in visible]
        serialized = EventSerializer(rows[:MAX_EVENTS], many=True).data
        return Response({"results": serialized, "is_truncated": len(rows) > MAX_EVENTS})
