"""Invitations to a tenant."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from apps.authorization.choices import Role
from apps.mail.choices import MailState
from apps.tenancy.models import Tenant, TenantModel


class Invitation(TenantModel):
    """An invitation of one address to this tenant with a role; can be accepted once until it expires.

    Only the SHA-256 of the link's secret is stored. Opening a mailed link verifies the address; a link that the admin
    hands over does not.
    """

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
    # Declined by the invited person; ``revoked_at`` is set at the same time.
    declined_at = models.DateTimeField(null=True, blank=True)
    # State of the mail; empty: the link was handed over by the admin.
    mail_state = models.CharField(max_length=10, choices=MailState.choices, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "digest"], name="accounts_invitation_uniq"),
            # One open invitation per address; a new one replaces it.
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
            models.CheckConstraint(
                condition=Q(mail_state__in=["", *MailState.values]),
                name="accounts_invitation_mail_state_ck",
            ),
        ]

    def __str__(self) -> str:
        return self.email


class InvitationAddress(models.Model):
    """Index of open invitations by the digest of the invited address.

    A global table: it is read for users without a tenant. It contains neither address nor role, and is deleted when
    the invitation ends.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.BinaryField(max_length=32)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    invitation_id = models.UUIDField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "digest"], name="accounts_invitationaddress_uniq"
            )
        ]
        indexes = [models.Index(fields=["digest"], name="accounts_invaddress_idx")]
