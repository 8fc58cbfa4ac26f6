"""Users, memberships, API tokens and idempotency records. All but the last are global tables: sign-in happens before a
tenant is known."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from apps.authorization.choices import Role
from apps.tenancy.models import Tenant


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractUser):
    """A person who signs in. Their permissions are the role of their membership in each tenant.

    An account is either of a verified address, or local to one tenant: created by a link that its admin handed over,
    with the login name ``slug:address``, and not found by lookups of the address.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = None  # type: ignore[assignment]  # the e-mail address is the login name
    # The login name: the address, or ``slug:address`` (63 + 1 + 254 characters, and a suffix once deactivated).
    email = models.EmailField(unique=True, max_length=400)
    # When the address was verified: by mail, by an identity provider, or by the platform operator.
    email_verified_at = models.DateTimeField(null=True, blank=True)
    # The tenant of an account that is local to one tenant.
    local_tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()  # type: ignore[assignment,misc]

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="accounts_user_email_uniq"),
            # The address of a local account is never verified.
            models.CheckConstraint(
                condition=Q(local_tenant=None) | Q(email_verified_at=None),
                name="accounts_user_local_ck",
            ),
        ]

    @property
    def address(self) -> str:
        """The mail address, also of accounts whose login name is ``slug:address``."""
        if self.local_tenant_id is None:
            return self.email
        # A deactivated account has "#<id>" appended; a "#" of the address itself is kept.
        return self.email.partition(":")[2].removesuffix(f"#{self.pk.hex}")

    @property
    def label(self) -> str:
        """The display name: the full name, else the address."""
        return self.get_full_name() or self.address


class Membership(models.Model):
    """A user's role in one tenant."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)
    # Sees only the sites and devices granted to them, and what is below those.
    is_limited = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "user"], name="accounts_membership_user_uniq"
            ),
            models.CheckConstraint(
                condition=Q(role__in=Role.values), name="accounts_membership_role_ck"
            ),
            # An admin cannot be limited: they could grant themselves anything.
            models.CheckConstraint(
                condition=~Q(role="admin", is_limited=True), name="accounts_membership_limited_ck"
            ),
        ]


class ApiToken(models.Model):
    """An API token for one tenant: shown once, stored as SHA-256, expiring, revocable."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="api_tokens")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    digest = models.BinaryField(max_length=32)
    # The permissions that it is limited to; null: all of its user's.
    scopes = models.JSONField(null=True, blank=True)
    # Revoked when the user's password changes, as sessions are.
    ends_with_password = models.BooleanField(default=False)
    # The token that it was created with; revoking that one revokes this one.
    # No foreign key in the database: old rows are deleted in batches, in any order.
    parent = models.ForeignKey(
        "self", on_delete=models.DO_NOTHING, null=True, related_name="children", db_constraint=False
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        constraints = [
            models.UniqueConstraint(fields=["digest"], name="accounts_apitoken_digest_uniq")
        ]
