"""Credential sets: secrets go in and never come out."""

from django.db.models import QuerySet
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.api.views import TenantViewSet
from apps.accounts.permissions import Permission
from apps.core import clock
from apps.vault import services
from apps.vault.models import CredentialSet


class CredentialSetSerializer(serializers.ModelSerializer[CredentialSet]):
    secret = serializers.CharField(write_only=True, max_length=1000, trim_whitespace=False)

    class Meta:
        model = CredentialSet
        fields = ["id", "name", "kind", "username", "secret", "version", "updated_at"]
        read_only_fields = ["id", "version", "updated_at"]


class CredentialSetViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Logins of routers. Posting a name again gives that set a new secret."""

    serializer_class = CredentialSetSerializer
    filters = {"name": "name", "kind": "kind"}
    orderings = ("name", "updated_at")
    permission_map = dict.fromkeys(("list", "retrieve", "create"), Permission.CREDENTIALS_MANAGE)

    def get_queryset(self) -> QuerySet[CredentialSet]:
        return CredentialSet.objects.all()

    def create(self, request: Request) -> Response:
        asked = CredentialSetSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        row = services.store_credential_set(
            **asked.validated_data, actor=self.access.actor, at=clock.now()
        )
        return Response(CredentialSetSerializer(row).data, status=status.HTTP_201_CREATED)
