"""Replacing a person's password: the one place, so that everything that must end with the old one does."""

from datetime import datetime

from django.db import transaction

from apps.accounts.models import ApiToken, User
from apps.accounts.services import revoke_token
from apps.authorization.actors import Actor


def replace_password(*, user: User, password: str, actor: Actor, at: datetime) -> None:
    """Set a password that was validated, and revoke the API tokens that were made to end with the old one.

    Sessions are the caller's: which of them stays depends on who asks. Locks: the person, as ``issue_token`` does.
    """
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).only("pk").get(pk=user.pk)
        _replace(user, password, actor, at)


def _replace(user: User, password: str, actor: Actor, at: datetime) -> None:
    # By tenant, so that two such acts take the tenants' audit chains in one order.
    rows = ApiToken.objects.filter(user=user, ends_with_password=True, revoked_at=None)
    for token in rows.order_by("tenant_id", "pk"):
        revoke_token(token=token, actor=actor, at=at)
    user.set_password(password)
    user.save(update_fields=["password"])
