"""Credential sets: secrets go in and never come out."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.core import clock
from apps.rest.fields import BoundedDict
from apps.rest.views import TenantViewSet
from apps.vault import services
from apps.vault.kinds import SECRET_NAMES, SHAPES
from apps.vault.models import CredentialSet

#: Of a login; no kind has more than a few.
MOST_OPTIONS = 20


def _secret(*, most: int = 1_000, null: bool = True) -> serializers.CharField:
    """A field that is written and never shown; null takes the secret away."""
    return serializers.CharField(
        write_only=True, required=False, trim_whitespace=False, max_length=most, allow_null=null
    )


class CredentialSetSerializer(serializers.ModelSerializer[CredentialSet]):
    """A login. Which fields it has follows from its kind; ``secret`` is the main one of whichever kind."""

    secret = _secret(null=False)
    password = _secret()
    community = _secret()
    auth_password = _secret()
    priv_password = _secret()
    private_key = _secret(most=20_000)
    passphrase = _secret()
    token = _secret(most=4_000)
    username = serializers.CharField(max_length=100, allow_blank=True, required=False)
    options = BoundedDict(
        max_length=MOST_OPTIONS,
        child=serializers.CharField(max_length=100, allow_blank=True),
        required=False,
    )
    holds = serializers.SerializerMethodField(help_text="Names of the secrets that it has.")

    class Meta:
        model = CredentialSet
        fields = [
            "id",
            "name",
            "kind",
            "username",
            "options",
            "holds",
            "version",
            "updated_at",
            "secret",
            *SECRET_NAMES,
        ]
        read_only_fields = ["id", "version", "updated_at"]

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_holds(self, row: CredentialSet) -> list[str]:
        return services.held_secrets(row)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Gather the secrets; a kind is for life, because what is sealed belongs to it."""
        if (
            self.instance is not None
            and attrs.pop("kind", self.instance.kind) != self.instance.kind
        ):
            raise serializers.ValidationError({"kind": "It cannot change: make another set."})
        kind = self.instance.kind if self.instance else attrs.get("kind", "routeros_api")
        secrets = {name: attrs.pop(name) for name in SECRET_NAMES if name in attrs}
        if "secret" in attrs:
            secrets[SHAPES[kind].main_secret] = attrs.pop("secret")
        return {**attrs, "secrets": secrets}


class CredentialSetViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Logins of routers and receivers. Posting a name again gives that set a new secret."""

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
        asked = self._asked(request)
        wanted = asked.validated_data
        found = CredentialSet.objects.filter(name=wanted["name"]).first()
        if found is None:
            row = services.create_credential_set(**wanted, **self._who())
        else:
            again = self._asked(request, found)
            row = services.change_credential_set(
                credential_set=found, changes=again.validated_data, **self._who()
            )
        return Response(CredentialSetSerializer(row).data, status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        row = self.get_object()
        asked = self._asked(request, row)
        changed = services.change_credential_set(
            credential_set=row, changes=asked.validated_data, **self._who()
        )
        return Response(CredentialSetSerializer(changed).data)

    def destroy(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        services.delete_credential_set(credential_set=self.get_object(), **self._who())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _asked(self, request: Request, row: CredentialSet | None = None) -> CredentialSetSerializer:
        asked = CredentialSetSerializer(row, data=request.data, partial=row is not None)
        asked.is_valid(raise_exception=True)
        return asked

    def _who(self) -> dict[str, Any]:
        return {"actor": self.access.actor, "at": clock.now()}
