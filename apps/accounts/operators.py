"""Making platform operators: the act of the database's owner, recorded before it takes effect."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.conf import settings
from django.db import connections, transaction

from apps.accounts.models import PlatformOperator, User
from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.core.errors import Forbidden

OWNER = "owner"
#: Two commands, or a command and the keeper, never both make or end the same operator.
LOCK = 0x15B_0BE1


class OwnerNeeded(Forbidden):
    """Only the database's owner makes platform operators."""

    default_code = "owner_needed"


def add_operator(*, user: User, actor: Actor, at: datetime) -> bool:
    """Make a person, who must be committed already, a platform operator. Returns whether that changed anything.

    Idempotent. Raises OwnerNeeded. Locks: LOCK, as the owner.
    """
    with _locked():
        if PlatformOperator.objects.using(OWNER).filter(pk=user.pk).exists():
            return False
        # Written first, by the role that can only add to the log: never an operator without a record.
        _record("platform_operator.made", user, actor, at)
        PlatformOperator.objects.using(OWNER).create(user_id=user.pk, since=at)
    return True


def remove_operator(*, user: User, actor: Actor, at: datetime) -> bool:
    """End it. Returns whether that changed anything. Idempotent. Raises OwnerNeeded. Locks: LOCK, as the owner."""
    with _locked():
        rows = PlatformOperator.objects.using(OWNER).filter(pk=user.pk)
        if not rows.exists():
            return False
        _record("platform_operator.ended", user, actor, at)
        rows.delete()
    return True


def require_owner() -> None:
    """Raise OwnerNeeded unless this process has the owner's address."""
    if OWNER not in settings.DATABASES:
        raise OwnerNeeded(message="Only the database's owner may: set DATABASE_OWNER_URL.")


@contextmanager
def _locked() -> Iterator[None]:
    """A transaction of the owner, one at a time."""
    require_owner()
    with transaction.atomic(using=OWNER):
        with connections[OWNER].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        yield


def _record(action: str, user: User, actor: Actor, at: datetime) -> None:
    record_platform(
        action=action, actor=actor, entity=("user", user.pk), at=at, detail={"email": user.email}
    )
