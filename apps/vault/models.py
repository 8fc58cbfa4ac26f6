"""Sealed rows. Nothing here is readable without the master key file, which is not in the database."""

from django.db import models
from django.db.models import Q

from apps.tenancy.models import TenantModel
from apps.vault.choices import CredentialKind


class TenantKey(TenantModel):
    """A tenant's data key, wrapped by the master key."""

    wrapped = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant"], name="vault_tenantkey_tenant_uniq")
        ]


class CredentialSet(TenantModel):
    """A login that devices share: written by an ISP admin, never shown again."""

    name = models.CharField(max_length=100)
    kind = models.CharField(
        max_length=30, choices=CredentialKind.choices, default=CredentialKind.ROUTEROS_API
    )
    username = models.CharField(max_length=100)
    sealed_secret = models.BinaryField()
    # Grows with each new secret, so that whoever caches it knows.
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], name="vault_credentialset_name_uniq"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=CredentialKind.values), name="vault_credentialset_kind_ck"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PlatformSecret(models.Model):
    """A secret of the installation (the agents' CA key, the master key's check value)."""

    name = models.CharField(max_length=60, primary_key=True)
    sealed = models.BinaryField()
    created_at = models.DateTimeField()
