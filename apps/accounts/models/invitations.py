"""Invitations: a link that makes one person a member, once, until it expires."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from apps.accounts.choices import Role
from apps.tenancy.models import TenantModel


class Invitation(TenantModel):
    """One person asked into this tenant, with the role that they will have. Only the SHA-256 of the link's secret is
    kept; which tenant it is for is this row's own, whatever the link says."""

    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=20, choices=Role.choices)
    is_limited = models.BooleanField(default=False)
    digest = models.BinaryField(max_length=32)
    # The actor, as the audit log names it.
    invited_by = models.JSONField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "digest"], name="accounts_invitation_uniq"),
            # One open invitation per person; a new one takes the place of the old.
            models.UniqueConstraint(
                "tenant",
                Lower("email"),
                condition=Q(accepted_at=None, revoked_at=None),
                name="accounts_invitation_open_uniq",
            ),
            models.CheckConstraint(
                condition=Q(role__in=Role.values), name="accounts_invitation_role_ck"
            ),
            models.CheckConstraint(
                condition=~Q(role="admin", is_limited=True), name="accounts_invitation_limited_ck"
            ),
        ]
