"""Open browser sessions. A global table: sign-in happens before a tenant is known."""

import uuid

from django.contrib.sessions.models import Session
from django.db import models

from apps.tenancy.models import Tenant


class OpenSession(models.Model):
    """A signed-in browser session, as shown to its user; deleted together with the Django session."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.OneToOneField(Session, on_delete=models.CASCADE, related_name="opened")
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
