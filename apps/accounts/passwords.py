"""Replacing a user's password. All callers use this, so that tokens bound to the old password are always revoked."""

from datetime import datetime

from django.db import transaction

from apps.accounts.models import ApiToken, User
from apps.accounts.services import revoke_token
from apps.authorization.actors import Actor


def replace_password(*, user: User, password: str, actor: Actor, at: datetime) -> None:
    """Set a validated password, and revoke the API tokens with ``ends_with_password``.

    Ending sessions is left to the caller. Locks: the user, as ``issue_token`` does.
    """
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).only("pk").get(pk=user.pk)
        _replace(user, password, actor, at)


def _replace(user: User, password: str, actor: Actor, at: datetime) -> None:
    # Ordered by tenant, so that concurrent calls lock the tenants' audit chains in the same order.
    rows = ApiToken.objects.filter(user=user, ends_with_password=True, revoked_at=None)
    for token in rows.order_by("tenant_id", "pk"):
        revoke_token(token=token, actor=actor, at=at)
    user.set_password(password)
    user.save(update_fields=["password"])
