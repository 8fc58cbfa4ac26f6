"""People, where they belong, and the tokens of programs. Sign-in happens before a tenant is known:
all but the answers of the last rows are global tables."""

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
    """Makes users by their e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractUser):
    """A person who signs in. What they may do is their membership's role, tenant by tenant.

    Whoever holds an account of an address has proven that address, or the account is of one tenant alone: made from a
    link that its admin handed over, signed in as ``slug:address``, found by nobody who looks for the address.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = None  # type: ignore[assignment]  # the e-mail address is the name
    # The name to sign in with: the address, or ``slug:address`` (63 + 1 + 254, and a mark once the account has ended).
    email = models.EmailField(unique=True, max_length=400)
    # When the person showed that the address is theirs: by mail, an identity provider, or the platform's operator.
    email_verified_at = models.DateTimeField(null=True, blank=True)
    # The one tenant that an account made from a link belongs to.
    local_tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()  # type: ignore[assignment,misc]

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="accounts_user_email_uniq"),
            # Nothing proves the address of an account of one tenant.
            models.CheckConstraint(
                condition=Q(local_tenant=None) | Q(email_verified_at=None),
                name="accounts_user_local_ck",
            ),
        ]

    @property
    def address(self) -> str:
        """The mail address, whatever the name to sign in with is."""
        if self.local_tenant_id is None:
            return self.email
        # An ended account has its id behind the name; a "#" of the address itself stays.
        return self.email.partition(":")[2].removesuffix(f"#{self.pk.hex}")

    @property
    def label(self) -> str:
        """The name that people read: full name, else the address."""
        return self.get_full_name() or self.address


class Membership(models.Model):
    """A person's role in one tenant."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)
    # Sees only the sites and devices granted to them, and what is below.
    is_limited = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "user"], name="accounts_membership_user_uniq"
            ),
            models.CheckConstraint(
                condition=Q(role__in=Role.values), name="accounts_membership_role_ck"
            ),
            # Whoever may grant could grant themselves: an admin sees everything.
            models.CheckConstraint(
                condition=~Q(role="admin", is_limited=True), name="accounts_membership_limited_ck"
            ),
        ]


class ApiToken(models.Model):
    """A program's key to one tenant: only its SHA-256 is kept; shown once, expiring, revocable."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="api_tokens")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    digest = models.BinaryField(max_length=32)
    # Permissions that it is narrowed to; null: all that its user has.
    scopes = models.JSONField(null=True, blank=True)
    # Revoked when the person's password is replaced, as sessions are.
    ends_with_password = models.BooleanField(default=False)
    # The token that made it; revoking that one revokes this one.
    # No constraint of the database: old rows are deleted in batches, in any order.
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


#: After that a repeated request is a new one, and its answer is deleted.
