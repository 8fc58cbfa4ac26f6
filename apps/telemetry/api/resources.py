"""The newest values of metrics."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agent.protocol.registry import ENTITY_TYPES, METRICS
from apps.accounts.api.views import TenantView
from apps.accounts.permissions import Permission
from apps.inventory.limits import visible_entities
from apps.telemetry import queries

MOST_VALUES = 5000


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
