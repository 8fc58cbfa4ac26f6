"""Advisory locks, between two real connections."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connections, transaction

from apps.tenancy import acting_in
from apps.tenancy.locks import (
    InstallationLock,
    TenantLock,
    lock,
    release_session_lock,
    try_lock,
    try_session_lock,
)
from tests.supervisor.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

EVERY_LOCK = [*InstallationLock, *TenantLock]


def is_free(key, tenant) -> bool:
    """Whether another session could take the lock now."""
    other = connections.create_connection("default")
    mine = connections["default"]
    connections["default"] = other
    try:
        with acting_in(tenant):
            return try_lock(key)
    finally:
        other.close()
        connections["default"] = mine


@contextmanager
def statement_timeout(milliseconds: int) -> Iterator[None]:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])
    yield


class TestLocksOfATransaction:
    @pytest.mark.parametrize("take", [lock, try_lock])
    def test_one_is_held_until_the_end_of_the_transaction(self, acme, take):
        with acting_in(acme):
            take(TenantLock.EVALUATE)
            assert not is_free(TenantLock.EVALUATE, acme)

        assert is_free(TenantLock.EVALUATE, acme)

    def test_each_tenant_has_its_own(self, acme, globex):
        with acting_in(acme):
            lock(TenantLock.EVALUATE)

            assert is_free(TenantLock.EVALUATE, globex)

    @pytest.mark.parametrize("key", EVERY_LOCK, ids=lambda key: key.name)
    def test_no_two_uses_share_a_key(self, acme, key):
        with acting_in(acme):
            lock(key)

            assert [other for other in EVERY_LOCK if not is_free(other, acme)] == [key]

    def test_an_installation_has_one_whatever_the_tenant_and_the_role(self, acme, globex):
        with transaction.atomic(using="owner"):
            lock(InstallationLock.OPERATORS, using="owner")

            assert not is_free(InstallationLock.OPERATORS, acme)
            assert not is_free(InstallationLock.OPERATORS, globex)

    def test_lock_waits_for_the_holder(self, acme):
        with acting_in(acme):
            lock(InstallationLock.OPERATORS)
            with (
                pytest.raises(Exception, match="statement timeout"),
                transaction.atomic(using="owner"),
                statement_timeout(50),
            ):
                lock(InstallationLock.OPERATORS, using="owner")

    def test_none_is_taken_outside_a_transaction(self):
        with pytest.raises(RuntimeError, match="transaction"):
            lock(InstallationLock.OPERATORS)


class TestLocksOfASession:
    def test_one_outlives_the_transaction_until_it_is_released(self, acme):
        with connections["owner"].cursor() as cursor:
            assert try_session_lock(cursor, InstallationLock.KEEPER)
            assert not is_free(InstallationLock.KEEPER, acme)

            release_session_lock(cursor, InstallationLock.KEEPER)

        assert is_free(InstallationLock.KEEPER, acme)

    def test_a_second_session_is_refused_until_the_first_ends(self):
        with connections["owner"].cursor() as first, connections["default"].cursor() as second:
            assert try_session_lock(first, InstallationLock.BEAT)
            assert not try_session_lock(second, InstallationLock.BEAT)

        connections["owner"].close()
        with connections["default"].cursor() as second:
            # The server ends a session some time after its client has closed it.
            eventually(lambda: try_session_lock(second, InstallationLock.BEAT))
            release_session_lock(second, InstallationLock.BEAT)


def test_no_other_module_names_the_functions_of_postgresql():
    sources = settings.BASE_DIR.glob("[ai][ps]*/**/*.py")
    users = {p.name for p in sources if re.search(r"pg_(try_)?advisory", p.read_text("utf-8"))}

    assert users == {"locks.py"}
