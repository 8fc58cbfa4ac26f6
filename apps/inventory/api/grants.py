"""`grants/sites` and `grants/devices`: objects that limited members may see."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import mixins, serializers

from apps.authorization.permissions import Permission
from apps.core.errors import NotVisible
from apps.inventory import services
from apps.inventory.models import Device, DeviceGrant, Site, SiteGrant
from apps.rest.views import TenantViewSet


class SiteGrantSerializer(serializers.ModelSerializer[SiteGrant]):
    user = serializers.UUIDField(source="user_id")
    site = serializers.PrimaryKeyRelatedField(source="content_object", queryset=Site.objects.all())

    class Meta:
        model = SiteGrant
        fields = ["id", "user", "site"]


class DeviceGrantSerializer(serializers.ModelSerializer[DeviceGrant]):
    user = serializers.UUIDField(source="user_id")
    device = serializers.PrimaryKeyRelatedField(
        source="content_object", queryset=Device.objects.all()
    )

    class Meta:
        model = DeviceGrant
        fields = ["id", "user", "device"]


class GrantViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.DestroyModelMixin,
    TenantViewSet,
):
    """Grants to members; they only affect limited members. Delete one to revoke it."""

    model: ClassVar[type[SiteGrant | DeviceGrant]]
    filters = {"user": "user_id"}
    permission_map = dict.fromkeys(
        ("list", "retrieve", "create", "destroy"), Permission.MEMBERS_MANAGE
    )
    fresh_sign_in = frozenset({"create", "destroy"})

    def get_queryset(self) -> QuerySet[Any]:
        return self.access.visible(
            self.model._default_manager.all(),
            Permission.MEMBERS_MANAGE,
        )

    def perform_create(self, serializer: Any) -> None:
        try:
            serializer.instance = services.grant(
                user_id=serializer.validated_data["user_id"],
                row=serializer.validated_data["content_object"],
                **self.actor_and_time(),
            )
        except NotVisible as error:
            raise serializers.ValidationError({"user": "No such member."}) from error

    def perform_destroy(self, instance: SiteGrant | DeviceGrant) -> None:
        services.revoke_grant(grant=instance, **self.actor_and_time())


class SiteGrantViewSet(GrantViewSet):
    """Sites that limited members may see, with their devices."""

    model = SiteGrant
    serializer_class = SiteGrantSerializer


class DeviceGrantViewSet(GrantViewSet):
    """Devices that limited members may see, with their interfaces, sessions and services."""

    model = DeviceGrant
    serializer_class = DeviceGrantSerializer
