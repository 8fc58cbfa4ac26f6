"""`me` and `tokens`."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import services
from apps.accounts.access import member_access
from apps.accounts.models import ApiToken
from apps.accounts.tokens import issue_token_as
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.rest.fields import BoundedList
from apps.rest.views import TenantView, TenantViewSet


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    days = serializers.IntegerField(write_only=True, min_value=1, max_value=730, default=365)
    scopes = BoundedList(
        child=serializers.ChoiceField(choices=[p.value for p in Permission]),
        allow_null=True,
        default=None,
        max_length=len(Permission),
        help_text="The permissions that the token is limited to; null: all of its user's.",
    )
    ends_with_password = serializers.BooleanField(
        default=False, help_text="Revoked when its user's password changes."
    )

    class Meta:
        model = ApiToken
        fields = [
            "id",
            "name",
            "prefix",
            "scopes",
            "ends_with_password",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
            "days",
        ]
        read_only_fields = [
            "id",
            "prefix",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
        ]


class CreatedTokenSerializer(TokenSerializer):
    token = serializers.CharField(read_only=True, help_text="Returned only once.")

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "token"]


class CurrentUserSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()


class CurrentTenantSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()


class MeSerializer(serializers.Serializer[Any]):
    user = CurrentUserSerializer()
    tenant = CurrentTenantSerializer()
    role = serializers.CharField()
    is_limited = serializers.BooleanField()
    permissions = serializers.ListField(child=serializers.CharField())


class MeView(TenantView):
    """The caller: user, tenant, role and permissions."""

    permission_map = {"get": Permission.SELF}

    @extend_schema(responses=MeSerializer)
    def get(self, request: Request) -> Response:
        access = member_access(self.access)
        return Response(
            {
                "user": {
                    "id": access.user.id,
                    "email": access.user.address,
                    "name": access.user.label,
                },
                "tenant": {
                    "id": access.tenant.id,
                    "slug": access.tenant.slug,
                    "name": access.tenant.name,
                },
                "role": access.role,
                "is_limited": access.is_limited,
                "permissions": sorted(p.value for p in Permission if access.may(p)),
            }
        )


class TokenViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, TenantViewSet
):
    """API tokens of the tenant. The token itself is only in the response that creates it."""

    serializer_class = TokenSerializer
    filters = {"name": "name"}
    orderings = ("name", "created_at", "expires_at")
    etag_ignores = frozenset({"last_used_at"})
    permission_map = dict.fromkeys(
        ("list", "retrieve", "create", "destroy"), Permission.TOKENS_MANAGE
    )
    fresh_sign_in = frozenset({"create", "destroy"})

    def get_queryset(self) -> QuerySet[ApiToken]:
        return ApiToken.objects.filter(tenant=self.access.tenant)

    @extend_schema(responses={201: CreatedTokenSerializer})
    def create(self, request: Request) -> Response:
        params = TokenSerializer(data=request.data)
        params.is_valid(raise_exception=True)
        token, text = issue_token_as(
            access=member_access(self.access),
            name=params.validated_data["name"],
            days=params.validated_data["days"],
            scopes=params.validated_data["scopes"],
            ends_with_password=params.validated_data["ends_with_password"],
            at=clock.now(),
        )
        body: dict[str, Any] = {**TokenSerializer(token).data, "token": text}
        return Response(body, status=status.HTTP_201_CREATED)

    def perform_destroy(self, instance: ApiToken) -> None:
        services.revoke_token(token=instance, **self.actor_and_time())
