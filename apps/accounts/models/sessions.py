"""Browsers that people are signed in with. A global table: sign-in happens before a tenant is known."""

import uuid

from django.contrib.sessions.models import Session
from django.db import models

from apps.tenancy.models import Tenant


class OpenSession(models.Model):
    """One browser's sign-in, as its person sees it; gone with the session it stands for."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.OneToOneField(Session, on_delete=models.CASCADE, related_name="opened")
    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="open_sessions"
    )
    # Where it was last seen to act; null until it does. What an admin of that tenant may end.
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True, related_name="+")
    # How the person proved who they are: "password+totp".
    method = models.CharField(max_length=60)
    device = models.CharField(max_length=80)
    address = models.CharField(max_length=64)
    opened_at = models.DateTimeField()
    # Exact to a minute.
    last_seen_at = models.DateTimeField()
