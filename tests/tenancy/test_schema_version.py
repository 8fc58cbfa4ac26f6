"""A database that newer code has migrated is refused by every process, with a one-sentence error."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from apps.tenancy.schema_version import DatabaseNewer, check_database_version
from apps.tenancy.startup_checks import run_startup_checks
from ispvm.supervisor.paths import PROJECT
from tests import database
from tests.vault.test_master_key import COMMANDS, is_gunicorn_frame

SENTENCE = "Refusing to start: the database was migrated by a newer version"


@pytest.fixture
def newer(transactional_db):
    """Marks migrations as applied, as a newer version would have."""

    def apply(app: str, name: str) -> None:
        with database.as_owner(settings.DATABASES["default"]["NAME"]) as owner:
            owner.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, now())",
                [app, name],
            )

    yield apply
    with database.as_owner(settings.DATABASES["default"]["NAME"]) as owner:
        owner.execute("DELETE FROM django_migrations WHERE name LIKE '9%'")


def test_the_database_of_this_code_is_accepted(transactional_db):
    check_database_version()


@pytest.mark.real
def test_the_database_of_this_code_is_accepted_by_ingest(transactional_db, tmp_path):
    """It has fewer apps than the process that migrated the database."""
    copied = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "PROMETHEUS_"))}
    copied.pop("ISPVM_CA_KEY_FILE", None)

    done = subprocess.run(
        [sys.executable, "-c", "import ispvm.ingest_wsgi"],
        check=False,
        cwd=PROJECT,
        env={**copied, "DATABASE_URL": database.url_of_this_test(), "ISPVM_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=400,
    )

    assert done.returncode == 0, done.stderr[-3000:]


def test_a_newer_database_is_refused(newer):
    applied = ("inventory", "9001_ports")
    newer(*applied)

    with pytest.raises(DatabaseNewer) as refused:
        run_startup_checks()

    assert str(refused.value).startswith(SENTENCE)
    assert ".".join(applied) in str(refused.value)
    assert "restore the dump" in str(refused.value)


def test_more_than_three_migrations_are_counted(newer):
    for number in range(5):
        newer("inventory", f"900{number}_x")

    with pytest.raises(DatabaseNewer, match=r"inventory\.9002_x and 2 more"):
        check_database_version()


@pytest.mark.parametrize("app", ["inventory", "account"], ids=["ours", "a library's"])
def test_migrations_removed_after_a_squash_are_accepted(newer, app):
    """Its rows are older than the last one of that app that this code knows."""
    newer(app, "9000_removed")
    with database.as_owner(settings.DATABASES["default"]["NAME"]) as owner:
        owner.execute(
            "UPDATE django_migrations SET id = (SELECT min(id) - 1 FROM django_migrations)"
            " WHERE name = '9000_removed'"
        )

    check_database_version()


def test_an_app_that_is_not_installed_any_more_is_accepted(newer):
    newer("removed_library", "9001_initial")

    check_database_version()


def test_apps_without_tables_in_this_process_are_ignored(newer):
    newer("inventory", "9001_initial")

    with override_settings(ISPVM_APPS_WITHOUT_TABLES_HERE=("inventory",)):
        check_database_version()


@pytest.mark.django_db(databases=["default", "owner"], transaction=True)
def test_older_code_refuses_to_migrate(newer):
    """After a rollback `migrate` runs first: it must fail."""
    newer("inventory", "9001_ports")

    with pytest.raises(CommandError, match="migrated by a newer version"):
        call_command("migrate", database="owner", verbosity=0, interactive=False)


@pytest.mark.real
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[] if kind in {"web", "beat"} else [pytest.mark.long])
        for kind in COMMANDS
    ],
)
def test_the_real_process_refuses(newer, tmp_path, kind):
    newer("inventory", "9001_ports")
    copied = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "PROMETHEUS_"))}
    if kind == "ingest":  # it would refuse for the CA's key file first
        copied.pop("ISPVM_CA_KEY_FILE", None)

    done = subprocess.run(
        [sys.executable, *COMMANDS[kind]],
        check=False,
        cwd=PROJECT,
        env={**copied, "DATABASE_URL": database.url_of_this_test(), "ISPVM_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=400,
    )

    text = done.stdout + done.stderr
    assert done.returncode not in {0, -9}, text[-3000:]
    assert SENTENCE in text
    assert [
        row for row in text.splitlines() if 'File "' in row and not is_gunicorn_frame(row)
    ] == []
