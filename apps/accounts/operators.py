"""Adding and removing platform operators, as the database owner. Recorded before it takes effect."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.conf import settings
from django.db import transaction

from apps.accounts.models import PlatformOperator, User
from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.core.errors import Forbidden
from apps.tenancy.locks import InstallationLock, lock

OWNER = "owner"


class OwnerNeeded(Forbidden):
    """Only the database owner can add or remove platform operators."""

    default_code = "owner_needed"


def add_operator(*, user: User, actor: Actor, at: datetime) -> bool:
    """Add a user, whose row must be committed already, to the platform operators. Returns whether it was added.

    Idempotent. Raises OwnerNeeded. Locks: operators, as the owner.
    """
    with _locked():
        if PlatformOperator.objects.using(OWNER).filter(pk=user.pk).exists():
            return False
        # Recorded first, so that there is never an operator without a record.
        _record("platform_operator.added", user, actor, at)
        PlatformOperator.objects.using(OWNER).create(user_id=user.pk, since=at)
    return True


def remove_operator(*, user: User, actor: Actor, at: datetime) -> bool:
    """Remove a platform operator. Returns whether it was removed. Idempotent. Raises OwnerNeeded. Locks: operators, as
    the owner."""
    with _locked():
        rows = PlatformOperator.objects.using(OWNER).filter(pk=user.pk)
        if not rows.exists():
            return False
        _record("platform_operator.removed", user, actor, at)
        rows.delete()
    return True


def require_owner() -> None:
    """Raise OwnerNeeded unless the owner's database connection is configured."""
    if OWNER not in settings.DATABASES:
        raise OwnerNeeded(message="Only the database owner may do this: set DATABASE_OWNER_URL.")


@contextmanager
def _locked() -> Iterator[None]:
    """A transaction of the owner under the advisory lock."""
    require_owner()
    with transaction.atomic(using=OWNER):
        lock(InstallationLock.OPERATORS, using=OWNER)
        yield


def _record(action: str, user: User, actor: Actor, at: datetime) -> None:
    record_platform(
        action=action, actor=actor, entity=("user", user.pk), at=at, detail={"email": user.email}
    )
