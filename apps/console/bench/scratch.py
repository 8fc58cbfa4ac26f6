"""A database for one measurement: made, migrated, used as the app role, dropped. The real one is not touched."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from apps.core.errors import DomainError


class NoOwner(DomainError):
    """A database can only be made with the owner's address."""

    default_code = "no_owner"


@contextmanager
def scratch_database(purpose: str) -> Iterator[str]:
    """Every connection leads to an empty, migrated database while the body runs. Raises NoOwner."""
    if "owner" not in settings.DATABASES:
        raise NoOwner(
            message="Set DATABASE_OWNER_URL: the measurement makes a database of its own."
        )
    former = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    name = f"ispvm_bench_{purpose}_{os.getpid()}"
    _as_owner(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _as_owner(f"CREATE DATABASE {name}")
    try:
        _lead_to(dict.fromkeys(former, name))
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        yield name
    finally:
        _lead_to(former)
        _as_owner(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _as_owner(statement: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(statement)


def _lead_to(names: dict[str, str]) -> None:
    for alias, name in names.items():
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = name
