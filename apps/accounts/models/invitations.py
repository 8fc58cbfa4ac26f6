"""Invitations: what one person may accept, once, until it expires."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from apps.authorization.choices import Role
from apps.mail.choices import MailState
from apps.tenancy.models import Tenant, TenantModel


class Invitation(TenantModel):
    """One person asked into this tenant, with the role that they will have. Only the SHA-256 of the link's secret is
    kept; which tenant it is for is this row's own, whatever the link says.

    Sent by mail, the link shows that who opens it has the address. Handed over by the admin it shows nothing.
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
    # The person said no; the invitation is revoked at the same time.
    declined_at = models.DateTimeField(null=True, blank=True)
    # What has become of the mail; empty: the link was handed over by the admin.
    mail_state = models.CharField(max_length=10, choices=MailState.choices, blank=True, default="")

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
            models.CheckConstraint(
                condition=Q(mail_state__in=["", *MailState.values]),
                name="accounts_invitation_mail_state_ck",
            ),
        ]

    def __str__(self) -> str:
        return self.email


class InvitationAddress(models.Model):
    """That a tenant has an open invitation for somebody, by the digest of their address.

    Global: it is read for a person who works in no tenant yet. It names neither the person nor what they are invited
    as, and is deleted with the end of the invitation.
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
