"""What sign-in keeps of a person beside the password. Global tables: sign-in happens before a tenant is known."""

import uuid

from django.db import models


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
