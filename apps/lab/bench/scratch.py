"""A temporary database for one measurement: created, migrated, used as the app role, dropped."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from apps.core.errors import DomainError


class OwnerUrlMissing(DomainError):
    """Creating a database needs the owner's URL."""

    default_code = "no_owner"


@contextmanager
def scratch_database(purpose: str) -> Iterator[str]:
    """All connections use an empty, migrated database while the body runs. Raises NoOwner."""
    if "owner" not in settings.DATABASES:
        raise OwnerUrlMissing(
            message="Set DATABASE_OWNER_URL: the measurement creates a temporary database."
        )
    former = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    name = f"ispvm_bench_{purpose}_{os.getpid()}"
    _drop(name)
    _execute(f"CREATE DATABASE {name}")
    try:
        _switch_databases(dict.fromkeys(former, name))
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        yield name
    finally:
        _switch_databases(former)
        _drop(name)


@contextmanager
def copy_of(name: str) -> Iterator[str]:
    """A second database with the same rows, while the body runs."""
    copy = f"{name}_copy"
    for alias in connections:
        connections[alias].close()  # PostgreSQL copies no database that has connections
    with _owner_at("postgres") as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {copy} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {copy} TEMPLATE {name}")
    try:
        yield copy
    finally:
        with _owner_at("postgres") as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {copy} WITH (FORCE)")


def as_owner(work: Callable[[Any], object], name: str = "") -> None:
    """Run statements as the owner with autocommit, in the scratch database or in another one."""
    with _owner_at(name or connections["owner"].settings_dict["NAME"]) as cursor:
        work(cursor)


@contextmanager
def _owner_at(name: str) -> Iterator[Any]:
    """The owner's cursor in a database of that name."""
    created = connections.create_connection("owner")
    created.settings_dict = {**connections["owner"].settings_dict, "NAME": name}
    try:
        with created.cursor() as cursor:
            yield cursor
    finally:
        created.close()


def _drop(name: str) -> None:
    _execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _execute(statement: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(statement)


def _switch_databases(names: dict[str, str]) -> None:
    for alias, name in names.items():
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = name
