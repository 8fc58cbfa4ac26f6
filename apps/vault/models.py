"""Sealed rows. They cannot be read without the master key file, which is not in the database."""

from django.db import models
from django.db.models import Q

from apps.tenancy.models import TenantModel
from apps.vault.choices import Purpose
from apps.vault.kinds import DEFAULT_KIND, kind_choices


class MasterKey(models.Model):
    """A master key that this database has been sealed with: its id and a check value that only it opens.

    Live until a rotation has rewrapped every data key; a process without each of the live keys does not start.
    """

    key_id = models.CharField(max_length=16, primary_key=True)
    check_value = models.BinaryField()
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)


class DataKey(models.Model):
    """A version of a data key, wrapped by a master key. The newest seals; a retired one is destroyed."""

    # An older process, which sets no version, still adds the first.
    version = models.PositiveIntegerField(default=1, db_default=1)
    wrapped_key = models.BinaryField()
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class TenantKey(TenantModel, DataKey):
    """A tenant's data key."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "version"], name="vault_tenantkey_version_uniq"
            )
        ]


class PlatformKey(DataKey):
    """The installation's data key: for secrets that no tenant owns."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version"], name="vault_platformkey_version_uniq")
        ]


class CredentialSet(TenantModel):
    """Credentials shared by devices: written by an ISP admin, never shown again."""

    name = models.CharField(max_length=100)
    # The protocol that it is for; see ``kinds``.
    kind = models.CharField(max_length=30, choices=kind_choices, default=DEFAULT_KIND)
    # Empty where the kind has none (a community).
    username = models.CharField(max_length=100, blank=True, db_default="")
    # The parts that are not secret: protocols, the scheme. See ``kinds``.
    options = models.JSONField(default=dict, blank=True, db_default={})
    # Names of the stored secrets. Empty in old rows: one password.
    secret_names = models.JSONField(default=list, blank=True, db_default=[])
    sealed_secret = models.BinaryField()
    # Incremented with each change of username, options or secrets, to invalidate caches.
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], name="vault_credentialset_name_uniq"
            ),
            # The kinds are those of the installed collectors: a new one needs no migration.
            models.CheckConstraint(
                condition=Q(kind__regex=r"^[a-z][a-z0-9_]*$"), name="vault_credentialset_kind_ck"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SecretLease(TenantModel):
    """Who may hold which secrets in the clear, and since when: the last lease of this holder in the audit log.

    ``terms`` names what is held (a config version, a set of signing secrets); taking the same terms again is the
    same lease and writes no audit record.
    """

    purpose = models.CharField(max_length=30, choices=Purpose.choices)
    holder_type = models.CharField(max_length=60)
    holder_id = models.CharField(max_length=100)
    terms = models.CharField(max_length=200)
    leased_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "purpose", "holder_type", "holder_id"],
                name="vault_secretlease_holder_uniq",
            ),
            models.CheckConstraint(
                condition=Q(purpose__in=Purpose.values), name="vault_secretlease_purpose_ck"
            ),
        ]


class PlatformSecret(models.Model):
    """A secret of the installation: the agents' CA key."""

    name = models.CharField(max_length=60, primary_key=True)
    sealed_value = models.BinaryField()
    created_at = models.DateTimeField()
