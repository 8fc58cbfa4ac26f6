"""Credential sets: secrets are write-only."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.rest.fields import BoundedDict
from apps.rest.views import PartialUpdateMixin, TenantViewSet
from apps.vault import services
from apps.vault.kinds import DEFAULT_KIND, KIND_SPECS, SECRET_NAMES
from apps.vault.models import CredentialSet

#: No kind has more than a few.
MAX_OPTIONS = 20
MAX_SECRET_LENGTH = 1_000
#: Secrets that are longer than a password.
MAX_SECRET_LENGTHS = {"private_key": 20_000, "token": 4_000}


def _secret(name: str, *, allow_null: bool = True) -> serializers.CharField:
    """A write-only field; null removes the secret."""
    return serializers.CharField(
        write_only=True,
        required=False,
        trim_whitespace=False,
        max_length=MAX_SECRET_LENGTHS.get(name, MAX_SECRET_LENGTH),
        allow_null=allow_null,
    )


class CredentialSetSerializer(serializers.ModelSerializer[CredentialSet]):
    """Credentials. The kind decides the fields; ``secret`` sets the main secret of any kind."""

    secret = _secret("secret", allow_null=False)
    username = serializers.CharField(max_length=100, allow_blank=True, required=False)
    options = BoundedDict(
        max_length=MAX_OPTIONS,
        child=serializers.CharField(max_length=100, allow_blank=True),
        required=False,
    )
    secret_names = serializers.SerializerMethodField(help_text="Names of the stored secrets.")

    class Meta:
        model = CredentialSet
        fields = [
            "id",
            "name",
            "kind",
            "username",
            "options",
            "secret_names",
            "version",
            "updated_at",
            "secret",
        ]
        read_only_fields = ["id", "version", "updated_at"]

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With the secrets of every kind."""
        return {**super().get_fields(), **{name: _secret(name) for name in SECRET_NAMES}}

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_secret_names(self, row: CredentialSet) -> list[str]:
        return services.secret_names_of(row)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Collect the secrets. The kind cannot change: the sealed document's format depends on it."""
        if (
            self.instance is not None
            and attrs.pop("kind", self.instance.kind) != self.instance.kind
        ):
            raise serializers.ValidationError(
                {"kind": "The kind cannot change: create another credential set."}
            )
        kind = self.instance.kind if self.instance else attrs.get("kind", DEFAULT_KIND)
        secrets = {name: attrs.pop(name) for name in SECRET_NAMES if name in attrs}
        if "secret" in attrs:
            secrets[KIND_SPECS[kind].main_secret] = attrs.pop("secret")
        return {**attrs, "secrets": secrets}


class CredentialSetViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    PartialUpdateMixin,
    mixins.DestroyModelMixin,
    TenantViewSet,
):
    """Credentials of devices and webhook receivers. Posting an existing name gives that set a new secret."""

    serializer_class = CredentialSetSerializer
    filters = {"name": "name", "kind": "kind"}
    orderings = ("name", "updated_at")
    fresh_sign_in = frozenset({"create", "partial_update", "destroy"})
    permission_map = dict.fromkeys(
        ("list", "retrieve", "create", "partial_update", "destroy"), Permission.CREDENTIALS_MANAGE
    )

    def get_queryset(self) -> QuerySet[CredentialSet]:
        return CredentialSet.objects.all()

    @extend_schema(responses={201: CredentialSetSerializer})
    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        existing = CredentialSet.objects.filter(name=serializer.validated_data["name"]).first()
        if existing is None:
            serializer.instance = services.create_credential_set(
                **serializer.validated_data, **self.actor_and_time()
            )
        else:
            serializer = self.get_serializer(existing, data=request.data, partial=True)
            serializer.is_valid(raise_exception=True)
            self.perform_update(serializer)
        return Response(serializer.data, status=status.HTTP_201_CREATED)

    def perform_update(self, serializer: Any) -> None:
        serializer.instance = services.change_credential_set(
            credential_set=serializer.instance,
            changes=serializer.validated_data,
            **self.actor_and_time(),
        )

    def perform_destroy(self, instance: CredentialSet) -> None:
        services.delete_credential_set(credential_set=instance, **self.actor_and_time())
