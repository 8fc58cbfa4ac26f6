"""An upgrade keeps the data: the release before is rebuilt from git and filled, then this code migrates its rows."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest
from django.conf import settings

from tests import database

PROJECT = database.PROJECT
RELEASES = json.loads((PROJECT / "docs/releases.json").read_text(encoding="utf-8"))
#: Their rows belong to the code and to the running processes, not to a tenant.
OWN_TABLES = {
    "auth_permission",
    "django_content_type",
    "django_migrations",
    "events_due",
    "events_runningprocess",
}
#: Renamed since the release before.
RENAMED = {"webhooks_attempt": "delivery_attempt", "webhooks_delivery": "delivery_delivery"}
CATALOG = """
SELECT 'column', table_name, column_name, data_type || coalesce(character_maximum_length::text, '') || is_nullable
    || coalesce(column_default, '')
    FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'policy', tablename, policyname, cmd || coalesce(qual, '') || coalesce(with_check, '')
    FROM pg_policies WHERE schemaname = 'public'
UNION ALL SELECT 'table', relname, relkind::text, relrowsecurity::text || relforcerowsecurity::text
    || coalesce((SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(relacl) a), '')
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S', 'v')
"""

pytestmark = [pytest.mark.real, pytest.mark.django_db]


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(PROJECT), *arguments], check=False, capture_output=True)


@pytest.fixture
def former(tmp_path) -> Path:
    """The code of the release before, as it was released."""
    if not RELEASES:
        pytest.skip("nothing was released before this code")
    commit = RELEASES[-1]["commit"]
    if git("cat-file", "-e", f"{commit}^{{commit}}").returncode:
        version = RELEASES[-1]["version"]
        pytest.skip(f"this checkout has no history, or none that reaches release {version}")
    archive = git("archive", "--format=zip", commit)
    assert archive.returncode == 0, archive.stderr
    with zipfile.ZipFile(io.BytesIO(archive.stdout)) as files:
        files.extractall(tmp_path / "former")
    return tmp_path / "former"


@pytest.fixture
def empty() -> Iterator[str]:
    """The name of a new database."""
    name = f"{settings.DATABASES['default']['NAME']}_upgrade"
    database.drop(name)
    with database.as_owner() as owner:
        owner.execute(f"CREATE DATABASE {name}")
    yield name
    database.drop(name)


def environment(name: str) -> dict[str, str]:
    """This process' own, with every role's address leading to that database."""
    return {
        variable: urlunsplit(urlsplit(value)._replace(path=f"/{name}"))
        if variable.startswith("DATABASE_") and variable.endswith("URL")
        else value
        for variable, value in os.environ.items()
    }


def manage(code: Path, name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        check=False,
        cwd=code,
        env=environment(name),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def rows_of(name: str) -> dict[str, int]:
    """Of every table, as the role of backups, which sees all tenants."""
    with closing(psycopg2.connect(environment(name)["DATABASE_BACKUP_URL"])) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        counts = {}
        for (table,) in sorted(cursor.fetchall()):
            cursor.execute(f"SELECT count(*) FROM {table}")
            counts[table] = cursor.fetchone()[0]
        return counts


def catalog_of(name: str) -> set[tuple[str, ...]]:
    with database.as_owner(name) as owner:
        owner.execute(CATALOG)
        return set(owner.fetchall())


def test_data_of_the_release_before_is_there_after_the_upgrade(former, empty):
    manage(former, empty, "migrate", "--database", "owner", "--verbosity", "0")
    manage(former, empty, "seed_demo", "--size", "small", "--password", "of-the-release-before")
    before = rows_of(empty)
    assert before["incidents_incident"] > 50

    manage(PROJECT, empty, "migrate", "--database", "owner", "--verbosity", "0")

    after = rows_of(empty)
    changed = {
        table: (count, after.get(RENAMED.get(table, table)))
        for table, count in before.items()
        if count and table not in OWN_TABLES and after.get(RENAMED.get(table, table)) != count
    }
    assert changed == {}
    if "delivery_destination" not in before:
        assert after["delivery_destination"] == before["webhooks_endpoint"] > 0
    assert catalog_of(empty) == catalog_of(settings.DATABASES["default"]["NAME"])
    manage(PROJECT, empty, "audit", "verify", "--all")
