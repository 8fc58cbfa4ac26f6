"""Sign-in data beside the password. Global tables: sign-in happens before a tenant is known."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.tenancy.models import Tenant


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


class SignInPolicy(Tenant):
    """The sign-in policy of a tenant: a proxy of its columns, for the admin."""

    class Meta:
        proxy = True
        verbose_name = _("sign-in policy")
        verbose_name_plural = _("sign-in policy")
