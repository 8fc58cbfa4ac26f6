"""Dependency groups, and the graph as one document."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.core import clock
from apps.rest.views import TenantView, TenantViewSet
from apps.topology import services
from apps.topology.choices import GroupMode, MemberType
from apps.topology.graph import version_of
from apps.topology.models import DependencyGroup
from apps.topology.selectors import graph_snapshot, members_by_group

#: Of a group; `k` counts as far.
MOST_MEMBERS = 500


class MemberSerializer(serializers.Serializer[Any]):
    """A reference: ``{type, id}``."""

    type = serializers.ChoiceField(choices=MemberType.choices)
    id = serializers.UUIDField()


class DependencyGroupSerializer(serializers.Serializer[Any]):
    """The dependent works while any / all / at least k of the members work."""

    id = serializers.UUIDField(read_only=True)
    dependent = MemberSerializer()
    mode = serializers.ChoiceField(choices=GroupMode.choices)
    k = serializers.IntegerField(min_value=1, max_value=MOST_MEMBERS, allow_null=True, default=None)
    members = MemberSerializer(many=True, allow_empty=False, max_length=MOST_MEMBERS)  # type: ignore[call-arg]  # of many
    note = serializers.CharField(max_length=200, allow_blank=True, default="")


class DependencyGroupViewSet(TenantViewSet):
    """What leans on what, as operators say it. PUT replaces all but the dependent."""

    serializer_class = DependencyGroupSerializer
    permission_map = {
        "list": Permission.TOPOLOGY_VIEW,
        "retrieve": Permission.TOPOLOGY_VIEW,
        "create": Permission.TOPOLOGY_CHANGE,
        "update": Permission.TOPOLOGY_CHANGE,
        "destroy": Permission.TOPOLOGY_CHANGE,
    }

    def get_queryset(self) -> QuerySet[DependencyGroup]:
        return self.access.visible(DependencyGroup.objects.all(), Permission.TOPOLOGY_VIEW)

    @extend_schema(responses=DependencyGroupSerializer(many=True))
    def list(self, request: Request) -> Response:  # noqa: ARG002
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response(_described(page))

    def retrieve(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        return Response(_described([self.get_object()])[0])

    def create(self, request: Request) -> Response:
        asked = self._asked(request)
        made = services.create_dependency_group(
            dependent=_ref(asked["dependent"]), **self._content(asked)
        )
        return Response(_described([made])[0], status=status.HTTP_201_CREATED)

    def update(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        group = self.get_object()
        asked = self._asked(request)
        if _ref(asked["dependent"]) != (group.dependent_type, group.dependent_id):
            raise serializers.ValidationError({"dependent": "The dependent cannot change."})
        changed = services.update_dependency_group(group=group, **self._content(asked))
        return Response(_described([changed])[0])

    def destroy(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        services.delete_dependency_group(
            group=self.get_object(), actor=self.access.actor, at=clock.now()
        )
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _asked(self, request: Request) -> dict[str, Any]:
        asked = DependencyGroupSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return dict(asked.validated_data)

    def _content(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "mode": asked["mode"],
            "members": [_ref(member) for member in asked["members"]],
            "k": asked["k"],
            "note": asked["note"],
            "actor": self.access.actor,
            "at": clock.now(),
        }


class GraphView(TenantView):
    """The network as correlation sees it, without the agents' places; ``ETag`` is its version."""

    permission_map = {"get": Permission.TOPOLOGY_VIEW}
    expensive = frozenset({"get"})

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> HttpResponseBase:
        parts = tuple(graph_snapshot().canonical_parts())
        version = version_of(parts)
        etag = f'"{version}"'
        if request.headers.get("If-None-Match") == etag:
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": etag})
        # Encoded already, for the version; the document of a large network is long.
        body = (f'{{"version":"{version}",'.encode(), parts[0].removeprefix(b"{"), *parts[1:])
        return HttpResponse(body, content_type="application/json", headers={"ETag": etag})


def _ref(entity: dict[str, Any]) -> tuple[str, Any]:
    return (entity["type"], entity["id"])


def _described(groups: list[DependencyGroup]) -> list[dict[str, Any]]:
    members = members_by_group(group.id for group in groups)
    return [
        {
            "id": group.id,
            "dependent": {"type": group.dependent_type, "id": group.dependent_id},
            "mode": group.mode,
            "k": group.k,
            "note": group.note,
            "members": [{"type": kind, "id": pk} for kind, pk in members.get(group.id, ())],
        }
        for group in groups
    ]
