"""Sign-in: browsers, sessions, passkeys, and the policy and mail domains of a tenant.

All but ``MailDomain`` are global tables: sign-in happens before a tenant is known.
"""

import uuid

from django.contrib.sessions.models import Session
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.tenancy.models import Tenant, TenantModel


class KnownBrowser(models.Model):
    """A browser in which a user has signed in: its attempts are counted separately. It is no authentication factor.

    Created by completed sign-ins; deleted beyond a maximum per user, and after half a year without use.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="known_browsers"
    )
    # SHA-256 of the cookie. Several users may share a browser.
    digest = models.BinaryField(max_length=32)
    # HMAC of password hash and factors at the last sign-in; if they change, the browser is unknown.
    binding = models.CharField(max_length=64)
    # Network of the last sign-in: an IPv4 address, or an IPv6 /64.
    network = models.CharField(max_length=64)
    last_used_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["digest", "user"], name="accounts_knownbrowser_digest_uniq"
            )
        ]


class OpenSession(models.Model):
    """A signed-in browser session, as shown to its user; deleted together with the Django session."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.OneToOneField(Session, on_delete=models.CASCADE, related_name="open_session")
    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="open_sessions"
    )
    # The tenant it last worked in; null until it does. Admins of that tenant may end the session.
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True, related_name="+")
    # Authentication methods: "password+totp".
    method = models.CharField(max_length=60)
    device = models.CharField(max_length=80)
    address = models.CharField(max_length=64)
    opened_at = models.DateTimeField()
    # Exact to a minute.
    last_seen_at = models.DateTimeField()


class PasskeyCredential(models.Model):
    """Makes a passkey's credential unique over all users, and stores its signature counter.

    The passkey itself is allauth's ``Authenticator``; both rows are deleted together.
    """

    authenticator = models.OneToOneField(
        "mfa.Authenticator", on_delete=models.CASCADE, primary_key=True, related_name="credential"
    )
    # SHA-256 of the credential id.
    digest = models.BinaryField(max_length=32)
    # Signature counter at the last use; 0 for authenticators without one.
    sign_count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["digest"], name="accounts_passkeycredential_digest_uniq"
            )
        ]


class MailDomain(TenantModel):
    """A mail domain that a platform operator accepted for this tenant. Read-only for the tenant."""

    # Lower-case ASCII (IDNA), without a final dot. Subdomains are separate domains.
    domain = models.CharField(max_length=253)
    # The actor, as the audit log names it.
    accepted_by = models.JSONField()
    accepted_at = models.DateTimeField()

    class Meta:
        ordering = ["domain"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "domain"], name="accounts_maildomain_domain_uniq"
            )
        ]

    def __str__(self) -> str:
        return self.domain


class SignInPolicy(Tenant):
    """The sign-in policy of a tenant: a proxy of its columns, for the admin."""

    class Meta:
        proxy = True
        verbose_name = _("sign-in policy")
        verbose_name_plural = _("sign-in policy")
