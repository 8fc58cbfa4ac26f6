"""REST of rules with their overrides, and of alerts with their history."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from apps.alerts import services
from apps.alerts.api import serializers
from apps.alerts.lists import ALERTS
from apps.alerts.models import Alert, AlertRule, AlertTransition, RuleOverride
from apps.alerts.selectors import labels_of, rules_with_severity
from apps.authorization.permissions import Permission
from apps.core.errors import Forbidden
from apps.rest.pagination import SignedCursorPagination
from apps.rest.views import EntityListMixin, TenantViewSet


class ByKey(SignedCursorPagination):
    ordering = "key"


class ByTarget(SignedCursorPagination):
    ordering = ("level", "target")  # type: ignore[assignment]  # one target per level


class LatestFirst(SignedCursorPagination):
    ordering = ("-since", "-id")  # type: ignore[assignment]  # ties need the id


class OldestFirst(SignedCursorPagination):
    ordering = ("at", "id")  # type: ignore[assignment]  # ties need the id


class AlertsViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Shared by both view sets."""

    def validated(self, serializer_class: type[Serializer[Any]], data: Any) -> dict[str, Any]:
        """The validated data of a request."""
        serializer = serializer_class(data=data)
        serializer.is_valid(raise_exception=True)
        params: dict[str, Any] = serializer.validated_data
        return params


@extend_schema_view(list=extend_schema(parameters=[serializers.RuleFilterSerializer]))
class RuleViewSet(AlertsViewSet):
    """Rules of the tenant. They are imported; here they are read, enabled, disabled and overridden."""

    pagination_class = ByKey
    orderings = ("key",)
    permission_map = {
        "list": Permission.ALERTS_VIEW,
        "retrieve": Permission.ALERTS_VIEW,
        "export": Permission.ALERTS_VIEW,
        "overrides": Permission.ALERTS_VIEW,
        "partial_update": Permission.ALERTS_TUNE,
        "import_pack": Permission.ALERTS_TUNE,
        "set_override": Permission.ALERTS_TUNE,
        "remove_override": Permission.ALERTS_TUNE,
    }

    @property
    def paginator(self) -> Any:
        if not hasattr(self, "_paginator"):
            self._paginator = (ByTarget if self.action == "overrides" else ByKey)()
        return self._paginator

    def get_queryset(self) -> QuerySet[AlertRule]:
        return self.access.visible(AlertRule.objects.all(), Permission.ALERTS_VIEW)

    def get_serializer_class(self) -> type[Serializer[Any]]:
        return (
            serializers.RuleSerializer
            if self.action == "list"
            else serializers.RuleDetailSerializer
        )

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.action != "list":
            return queryset
        params = self.validated(serializers.RuleFilterSerializer, self.request.query_params)
        if "pack" in params:
            queryset = queryset.filter(pack=params["pack"])
        if params["enabled"] is not None:
            queryset = queryset.filter(is_enabled=params["enabled"])
        if "severity" in params:
            queryset = rules_with_severity(queryset, params["severity"])
        return queryset

    @extend_schema(request=serializers.RuleChangeSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Enable or disable a rule; when disabled, its open alerts recover."""
        rule = self.get_object()
        params = self.validated(serializers.RuleChangeSerializer, request.data)
        changed = services.set_enabled(
            rule=rule, is_enabled=params["enabled"], **self.actor_and_time()
        )
        return Response(self.get_serializer(changed).data)

    @extend_schema(
        request=serializers.ImportSerializer, responses={200: serializers.ImportResultSerializer}
    )
    @action(detail=False, methods=["post"], url_path="import")
    def import_pack(self, request: Request) -> Response:
        """Import a rule pack, all of it or nothing.

        `merge` keeps disabled rules disabled and leaves other rules of the pack alone. `replace` enables or disables
        each rule as the pack says, and disables rules of the pack that it no longer contains; overrides are kept.
        """
        params = self.validated(serializers.ImportSerializer, request.data)
        documents = params.pop("rules", None)
        if documents is None:
            rows = services.install_pack(**params, **self.actor_and_time())
        else:
            rows = services.import_rules(documents=documents, **params, **self.actor_and_time())
        return Response({"rules": serializers.RuleSerializer(rows, many=True).data})

    @extend_schema(
        parameters=[serializers.PackQuerySerializer], responses=serializers.PackSerializer
    )
    @action(detail=False)
    def export(self, request: Request) -> Response:
        """A pack's rules in their current state, for import elsewhere. Overrides refer to this tenant's rows and are
        not exported."""
        pack = self.validated(serializers.PackQuerySerializer, request.query_params)["pack"]
        rows = self.get_queryset().filter(pack=pack).order_by("key")
        rules = [{**row.document, "enabled": row.is_enabled} for row in rows]
        return Response({"pack": pack, "rules": rules})

    @extend_schema(responses=serializers.OverrideSerializer(many=True))
    @action(detail=True)
    def overrides(self, request: Request, pk: str) -> Response:
        """This tenant's overrides of the rule; the most specific wins: device, tag, role, site, tenant."""
        if self.access.is_limited:  # overrides refer to rows of the whole tenant
            raise Forbidden(code="outside_grant")
        page = self.paginate_queryset(self.get_object().overrides.all())
        return self.get_paginated_response(serializers.OverrideSerializer(page, many=True).data)

    @extend_schema(
        request=serializers.OverrideSerializer, responses={201: serializers.OverrideSerializer}
    )
    @overrides.mapping.post
    def set_override(self, request: Request, pk: str) -> Response:
        """Override the rule; replaces an override of the same scope and target."""
        rule = self.get_object()
        params = self.validated(serializers.OverrideSerializer, request.data)
        override = services.set_override(rule=rule, **params, **self.actor_and_time())
        return Response(
            serializers.OverrideSerializer(override).data, status=status.HTTP_201_CREATED
        )

    @extend_schema(parameters=[OpenApiParameter("override_id", UUID, OpenApiParameter.PATH)])
    @action(detail=True, methods=["delete"], url_path="overrides/(?P<override_id>[^/.]+)")
    def remove_override(self, request: Request, pk: str, override_id: str) -> Response:
        """Delete an override."""
        override: RuleOverride = get_object_or_404(
            self.get_object().overrides.all(), pk=override_id
        )
        services.remove_override(override=override, **self.actor_and_time())
        return Response(status=status.HTTP_204_NO_CONTENT)


class AlertViewSet(EntityListMixin, AlertsViewSet):
    """Alerts, open and past, the latest first."""

    pagination_class = LatestFirst
    entity_list = ALERTS
    orderings = ALERTS.order_keys
    serializer_class = serializers.AlertSerializer
    permission_map = dict.fromkeys(("list", "retrieve", "history"), Permission.ALERTS_VIEW)

    @property
    def paginator(self) -> Any:
        if not hasattr(self, "_paginator"):
            self._paginator = (OldestFirst if self.action == "history" else LatestFirst)()
        return self._paginator

    def get_queryset(self) -> QuerySet[Alert]:
        # Only the rule's key is used: its document would be the largest column of the list.
        rows = Alert.objects.visible_to(self.access)
        return rows.select_related("rule").defer("rule__document")

    @extend_schema(parameters=[ALERTS.serializer])
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self._serialized(page or []))

    def retrieve(self, request: Request, pk: str) -> Response:
        alert = self.get_object()
        return Response(self._serialized([alert])[0])

    @extend_schema(responses=serializers.TransitionSerializer(many=True))
    @action(detail=True)
    def history(self, request: Request, pk: str) -> Response:
        """Every state transition since it fired, with its observation."""
        transitions: QuerySet[AlertTransition] = self.get_object().transitions.all()
        page = self.paginate_queryset(transitions)
        return self.get_paginated_response(serializers.TransitionSerializer(page, many=True).data)

    def _serialized(self, alerts: Sequence[Alert]) -> Any:
        labels = labels_of((alert.entity_type, alert.entity_id) for alert in alerts)
        return serializers.AlertSerializer(alerts, many=True, context={"labels": labels}).data
