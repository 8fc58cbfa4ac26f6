"""REST of dependency groups, and the graph as one document."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.rest.views import TenantView, TenantViewSet
from apps.topology import services
from apps.topology.choices import GroupMode, MemberType
from apps.topology.graph import version_of
from apps.topology.models import DependencyGroup
from apps.topology.selectors import graph_snapshot, members_by_group

#: Maximum number of members of a group, and of `k`.
MAX_MEMBERS = services.MAX_MEMBERS


class MemberSerializer(serializers.Serializer[Any]):
    """A reference: ``{type, id}``."""

    type = serializers.ChoiceField(choices=MemberType.choices)
    id = serializers.UUIDField()


class DependencyGroupSerializer(serializers.Serializer[Any]):
    """The dependent works while any / all / at least k of the members work."""

    id = serializers.UUIDField(read_only=True)
    dependent = MemberSerializer()
    mode = serializers.ChoiceField(choices=GroupMode.choices)
    k = serializers.IntegerField(min_value=1, max_value=MAX_MEMBERS, allow_null=True, default=None)
    members = MemberSerializer(many=True, allow_empty=False, max_length=MAX_MEMBERS)  # type: ignore[call-arg]  # of many=True
    note = serializers.CharField(max_length=200, allow_blank=True, default="")


class DependencyGroupViewSet(mixins.DestroyModelMixin, TenantViewSet):
    """Dependency groups that operators define. PUT replaces all fields but the dependent."""

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
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response(_documents(page))

    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(_documents([self.get_object()])[0])

    def create(self, request: Request) -> Response:
        data = self._validated(request)
        group = services.create_dependency_group(
            dependent=_ref(data["dependent"]), **self._service_arguments(data)
        )
        return Response(_documents([group])[0], status=status.HTTP_201_CREATED)

    def update(self, request: Request, pk: str) -> Response:
        group = self.get_object()
        data = self._validated(request)
        if _ref(data["dependent"]) != (group.dependent_type, group.dependent_id):
            raise serializers.ValidationError({"dependent": "The dependent cannot change."})
        changed = services.update_dependency_group(group=group, **self._service_arguments(data))
        return Response(_documents([changed])[0])

    def perform_destroy(self, instance: DependencyGroup) -> None:
        services.delete_dependency_group(group=instance, **self.actor_and_time())

    def _validated(self, request: Request) -> dict[str, Any]:
        serializer = DependencyGroupSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def _service_arguments(self, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "mode": data["mode"],
            "members": [_ref(member) for member in data["members"]],
            "k": data["k"],
            "note": data["note"],
            **self.actor_and_time(),
        }


class GraphView(TenantView):
    """The network as correlation sees it, without the locations of agents; ``ETag`` is its version."""

    permission_map = {"get": Permission.TOPOLOGY_VIEW}
    expensive = frozenset({"get"})

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> HttpResponseBase:
        parts = tuple(graph_snapshot().canonical_parts())
        version = version_of(parts)
        etag = f'"{version}"'
        if request.headers.get("If-None-Match") == etag:
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": etag})
        # The parts were encoded for the version already; the document of a large network is long.
        body = (f'{{"version":"{version}",'.encode(), parts[0].removeprefix(b"{"), *parts[1:])
        return HttpResponse(body, content_type="application/json", headers={"ETag": etag})


def _ref(entity: dict[str, Any]) -> tuple[str, Any]:
    return (entity["type"], entity["id"])


def _documents(groups: list[DependencyGroup]) -> list[dict[str, Any]]:
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
