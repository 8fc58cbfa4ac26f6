"""What sign-in keeps of a person beside the password. Global tables: sign-in happens before a tenant is known."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.tenancy.models import Tenant


class KnownBrowser(models.Model):
    """A browser in which a person signed in lately: it keeps attempts of its own. It proves nothing and opens nothing.

    Rows are made by a sign-in that was completed; the oldest beyond a handful, and those not used for half a year, go.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="known_browsers"
    )
    # SHA-256 of the cookie. One browser may be several people's.
    digest = models.BinaryField(max_length=32)
    # Of the password and the factors at the last sign-in: with others the browser is unknown.
    binding = models.CharField(max_length=64)
    # The address, of IPv6 the /64, of the last sign-in.
    network = models.CharField(max_length=64)
    last_used_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["digest", "user"], name="accounts_knownbrowser_digest_uniq"
            )
        ]


class PasskeyCredential(models.Model):
    """A passkey's credential as no two people may have it, and how often it was used.

    The passkey itself is allauth's row, which goes with this one and this one with it.
    """

    authenticator = models.OneToOneField(
        "mfa.Authenticator", on_delete=models.CASCADE, primary_key=True, related_name="credential"
    )
    # SHA-256 of the credential id.
    digest = models.BinaryField(max_length=32)
    # The authenticator's own counter at the last use; 0 where it keeps none.
    sign_count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["digest"], name="accounts_passkeycredential_digest_uniq"
            )
        ]


class SignInPolicy(Tenant):
    """How people must prove who they are to work in a tenant: columns of the tenant itself, for the admin."""

    class Meta:
        proxy = True
        verbose_name = _("sign-in policy")
        verbose_name_plural = _("sign-in policy")
