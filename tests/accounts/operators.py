"""Platform operators: added by the database owner, so they are committed outside the test's transaction."""

from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.db import transaction
from rest_framework.test import APIClient

from apps.accounts.models import User
from tests import database

SPACE = UUID("7e3c6a54-92f1-4a46-9d70-5d2f6f1f4a10")


def make_operator(email: str = "root@platform.example") -> User:
    """A platform operator without a membership."""
    pk = uuid5(SPACE, email)
    with database.as_owner(settings.DATABASES["default"]["NAME"]) as cursor:
        cursor.execute(
            "INSERT INTO accounts_user (id, email, password, first_name, last_name, is_superuser,"
            " is_staff, is_active, date_joined)"
            " VALUES (%s, %s, '!', 'Root', 'Operator', false, false, true, now()) ON CONFLICT DO NOTHING",
            [str(pk), email],
        )
        cursor.execute(
            "INSERT INTO accounts_platformoperator VALUES (%s, now()) ON CONFLICT DO NOTHING",
            [str(pk)],
        )
    return User.objects.get(pk=pk)


class Caller(APIClient):
    """Each request runs in a savepoint, so that a refused one does not roll back the test's transaction."""

    def generic(self, *args: Any, **kwargs: Any) -> Any:
        with transaction.atomic():
            return super().generic(*args, **kwargs)
