"""Fixtures of all tests: two tenants with a user per role, databases as the app role. Factories create other rows."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings
from django.test import TransactionTestCase
from django.utils import translation

from apps.accounts.models import Membership, User
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from tests import database
from tests.chromium import chromium, under_way
from tests.isolation import reset_process, warm_content_types

__all__ = ["chromium", "under_way"]

# How long one example takes, or how long it takes to draw one, depends on how busy the machine is.
hypothesis.settings.register_profile(
    "any_machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any_machine")

PASSWORD = "correct-horse-battery"  # of the test users, not a secret


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`run.py test --long` runs the long ones too."""
    if os.environ.get("ISPVM_LONG") == "1":
        return
    skip = pytest.mark.skip(reason="long: run.py test --long")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the values of ``record_property("bar", ...)`` of all processes."""
    values = [
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "bar" and report.when == "call"
    ]
    if values:
        terminalreporter.section("bars")
        for line in sorted(values):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def django_db_setup(worker_id: str, django_db_blocker, tmp_path_factory) -> Iterator[None]:
    """A template database migrated as the owner, a copy per worker; tests run as the app role, under the policies."""
    home = Path(settings.ISPVM_HOME)
    name = f"test_ispvm_{worker_id}_{tmp_path_factory.getbasetemp().parent.name}".replace("-", "_")
    with django_db_blocker.unblock():
        template = database.ensure_template(home)
        database.create_from(template, name)
        database.use_database(name)
        warm_content_types()
        yield
        database.use_database(name)
        database.drop(name)


@pytest.fixture(scope="session", autouse=True)
def _flush_as_owner() -> None:
    TransactionTestCase._fixture_teardown = lambda _self: database.empty_all_tables()


@pytest.fixture(autouse=True)
def _as_just_started(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Resets process state, so that results depend neither on the order of tests nor on the speed of the machine."""
    reset_process()
    # These would expire in the middle of a test on a busy machine.
    monkeypatch.setattr("apps.accounts.sessions.LAST_SEEN_INTERVAL_SECONDS", 86_400)
    monkeypatch.setattr("apps.console.web.home.CACHE_SECONDS", 86_400)
    yield
    # A request leaves its language to the thread: the next module's fixtures come before the next reset.
    translation.deactivate()


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    workerinput = getattr(request.config, "workerinput", {"workerid": "main"})
    return workerinput["workerid"]


@pytest.fixture
def acme(db) -> Tenant:
    return Tenant.objects.create(slug="acme", name="Acme Net")


@pytest.fixture
def globex(db) -> Tenant:
    return Tenant.objects.create(slug="globex", name="Globex Fibre")


@pytest.fixture
def in_acme(acme: Tenant) -> Iterator[Tenant]:
    """The test body acts in acme."""
    with acting_in(acme):
        yield acme


def _member(tenant: Tenant, role: Role) -> User:
    user = User.objects.create_user(
        f"{role}@{tenant.slug}.example", PASSWORD, first_name=role.title(), last_name=tenant.name
    )
    Membership.objects.create(tenant=tenant, user=user, role=role)
    return user


@pytest.fixture
def acme_admin(acme: Tenant) -> User:
    return _member(acme, Role.ADMIN)


@pytest.fixture
def acme_noc(acme: Tenant) -> User:
    return _member(acme, Role.NOC)


@pytest.fixture
def acme_readonly(acme: Tenant) -> User:
    return _member(acme, Role.READONLY)


@pytest.fixture
def acme_auditor(acme: Tenant) -> User:
    return _member(acme, Role.AUDITOR)


@pytest.fixture
def globex_noc(globex: Tenant) -> User:
    return _member(globex, Role.NOC)


@pytest.fixture
def globex_admin(globex: Tenant) -> User:
    return _member(globex, Role.ADMIN)


@pytest.fixture
def actor() -> Actor:
    return Actor.system("test")
