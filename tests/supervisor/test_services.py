"""Real PostgreSQL and Valkey, started in a data folder of the test's own."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis

from ispvm.supervisor.environment import (
    DATABASE_VARIABLES,
    connect_services,
    platform_environment,
    unprivileged,
)
from ispvm.supervisor.errors import LaunchError
from ispvm.supervisor.paths import PROJECT, Home
from ispvm.supervisor.programs import system_postgres, wheel_postgres
from ispvm.supervisor.services import lease_services, read_running, without_services
from tests.supervisor.waiting import eventually, is_running

pytestmark = pytest.mark.real
VARIABLES = (
    "ISPVM_POSTGRES",
    "ISPVM_SECRET_KEY",
    "ISPVM_SECRET_KEY_FILE",
    "ISPVM_MASTER_KEY_FILE",
    "ISPVM_CA_KEY_FILE",
    "REDIS_URL",
    *DATABASE_VARIABLES,
)


def forget_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def reachable_folder(tmp_path_factory) -> Path:
    """A folder that another account can enter: each session of pytest closes those of all to it."""
    if os.geteuid() != 0:
        return tmp_path_factory.mktemp("home")
    folder = Path(tempfile.mkdtemp(prefix="ispvm-home-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@pytest.fixture
def home(tmp_path_factory, monkeypatch):
    forget_servers(monkeypatch)
    home = Home(reachable_folder(tmp_path_factory) / "ispvm")
    yield home
    with without_services(home):
        home.erase()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Servers for the tests that only look: (home, environment of the platform)."""
    home = Home(reachable_folder(tmp_path_factory) / "ispvm")
    with pytest.MonkeyPatch.context() as monkeypatch:
        forget_servers(monkeypatch)
        urls, services = connect_services(home, durable=False)
        yield home, platform_environment(home, urls)
    assert services is not None
    services.release()
    with without_services(home):
        home.erase()


@pytest.fixture
def lease(home):
    """Takes leases that end with the test, however it ends."""
    with ExitStack() as taken:
        yield lambda: taken.enter_context(lease_services(home, durable=False))


@pytest.mark.parametrize("name", ["data home", 'with "quotes" and \\', "naïve 'folder'"])
def test_a_path_with_spaces_and_quotes_is_a_path(tmp_path_factory, monkeypatch, name):
    forget_servers(monkeypatch)
    home = Home(reachable_folder(tmp_path_factory) / name)

    with lease_services(home, durable=False) as services:
        urls = services.urls()
        assert works(urls["DATABASE_URL"])
        client = redis.Redis.from_url(urls["REDIS_URL"])
        client.set("a", "b")
        client.close()

    assert list(home.server_data.glob("valkey/appendonlydir/*.incr.aof"))
    with without_services(home):
        home.erase()


def query(url: str, statement: str):
    connection = psycopg2.connect(url, connect_timeout=300)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()


def works(url: str) -> bool:
    try:
        return bool(query(url, "SELECT 1"))
    except psycopg2.OperationalError:
        return False


def postmaster_pid(home: Home) -> int:
    (lock,) = home.server_data.glob("postgres/pg*/postmaster.pid")
    return int(lock.read_text().split()[0])


@pytest.mark.parametrize("source", ["pip", "system"])
def test_the_roles_are_what_the_platform_relies_on(monkeypatch, source, lease):
    if not {"pip": wheel_postgres, "system": system_postgres}[source]():
        pytest.skip(f"no PostgreSQL of the {source} kind on this machine")
    monkeypatch.setenv("ISPVM_POSTGRES", source)
    services = lease()
    urls = services.urls()

    rows = query(
        urls["DATABASE_URL"],
        "SELECT rolname, rolsuper, rolcreatedb, rolbypassrls, rolcreaterole FROM pg_roles "
        "WHERE rolname LIKE 'ispvm_%' ORDER BY 1",
    )

    assert rows == [
        ("ispvm_app", False, False, False, False),
        ("ispvm_backup", False, False, True, False),
        ("ispvm_owner", False, True, False, False),
        ("ispvm_platform", False, False, True, False),
    ]
    assert services.running.postgres_source == source
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(urls["DATABASE_URL"], "CREATE TABLE mine (id int)")
    query(urls["DATABASE_OWNER_URL"], "CREATE TABLE ours (id int)")


class TestSecrecy:
    def test_nobody_gets_in_without_the_password(self, shared):
        url = urlsplit(shared[1]["DATABASE_URL"])
        stranger = url._replace(netloc=f"ispvm_app:wrong@127.0.0.1:{url.port}").geturl()

        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            query(stranger, "SELECT 1")

    def test_nobody_gets_into_valkey_without_the_password(self, shared):
        port = urlsplit(shared[1]["REDIS_URL"]).port

        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()

    def test_secrets_are_readable_by_their_owner_only(self, shared):
        home, environment = shared

        modes = {f.name: f.stat().st_mode & 0o777 for f in home.secrets.iterdir()}

        assert modes.pop("master_key") == modes.pop("ca_key") == 0o400
        assert set(modes.values()) == {0o600}
        assert len(bytes.fromhex(Path(environment["ISPVM_MASTER_KEY_FILE"]).read_text())) == 32

    def test_web_and_workers_do_not_learn_the_privileged_roles(self, shared):
        text = json.dumps(unprivileged(shared[1]))

        for role in ("ispvm_owner", "ispvm_backup", "ispvm_platform", "postgres:postgres"):
            assert role not in text
        assert "ispvm_app" in text
        assert "CA_KEY" not in text


class TestServices:
    def test_postgres_comes_back_with_its_data_after_kill_9(self, home, lease):
        services = lease()
        url = services.urls()["DATABASE_OWNER_URL"]
        query(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        pid = postmaster_pid(home)

        os.kill(pid, signal.SIGKILL)

        eventually(lambda: not is_running(pid))
        eventually(lambda: works(url))
        assert query(url, "SELECT answer FROM kept") == [(42,)]

    def test_both_come_back_on_their_ports_when_the_daemon_is_killed(self, home, lease):
        services = lease()
        urls = services.urls()
        postgres = postmaster_pid(home)
        redis.Redis.from_url(urls["REDIS_URL"]).set("bell", "rung")

        os.kill(services.running.daemon_pid, signal.SIGKILL)
        eventually(lambda: read_running(home) is None)
        eventually(lambda: not is_running(postgres))
        services.revive()

        assert services.urls() == urls
        assert works(urls["DATABASE_URL"])
        assert redis.Redis.from_url(urls["REDIS_URL"]).get("bell") == b"rung"

    def test_a_second_lease_shares_the_servers_and_the_last_one_ends_them(self, home, lease):
        first = lease()
        second = lease()
        pid = postmaster_pid(home)

        first.release()
        shared = works(second.urls()["DATABASE_URL"])
        second.release()

        assert shared
        assert first.running == second.running
        eventually(lambda: read_running(home) is None)
        assert not is_running(pid)

    def test_a_lease_ends_with_its_holder_however_it_ends(self, home):
        program = (
            "import sys, time; from pathlib import Path\n"
            "from ispvm.supervisor.paths import Home\n"
            "from ispvm.supervisor.services import lease_services\n"
            "services = lease_services(Home(Path(sys.argv[1])), durable=False)\n"
            "print('leased', flush=True); time.sleep(600)\n"
        )
        holder = subprocess.Popen(
            [sys.executable, "-c", program, str(home.root)], cwd=PROJECT, stdout=subprocess.PIPE
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"leased\n"
        pid = postmaster_pid(home)

        holder.kill()
        holder.communicate()

        eventually(lambda: not is_running(pid))

    def test_the_data_folder_decides_which_postgres_is_used(self, home, monkeypatch, lease):
        if not wheel_postgres():
            pytest.skip("the pip PostgreSQL is not made for this machine")
        monkeypatch.setenv("ISPVM_POSTGRES", "pip")
        first = lease()
        first.release()
        eventually(lambda: read_running(home) is None)
        monkeypatch.delenv("ISPVM_POSTGRES")

        second = lease()

        assert second.running.postgres_version == first.running.postgres_version

    def test_refuses_to_erase_while_somebody_uses_the_servers(self, home, monkeypatch, lease):
        monkeypatch.setattr("ispvm.supervisor.services.STOP_SECONDS", 0.0)
        services = lease()

        with pytest.raises(LaunchError, match="stop it first"), without_services(home):
            home.erase()

        assert works(services.urls()["DATABASE_URL"])
        monkeypatch.undo()


class TestGivenServers:
    def test_an_address_that_does_not_answer_is_named_without_its_password(self, home, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgres://app:geheim@127.0.0.1:1/ispvm")
        monkeypatch.setenv("DATABASE_OWNER_URL", "postgres://owner:geheim@127.0.0.1:1/ispvm")
        monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")

        with pytest.raises(LaunchError) as refused:
            connect_services(home)

        assert "DATABASE_URL" in str(refused.value)
        assert "127.0.0.1" in str(refused.value)
        assert "geheim" not in str(refused.value)
        assert "\n" not in str(refused.value)

    def test_the_owner_must_be_given_too(self, home, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgres://app@127.0.0.1:1/ispvm")
        monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")

        with pytest.raises(LaunchError, match="DATABASE_OWNER_URL is not"):
            connect_services(home)

    def test_a_redis_that_does_not_answer_is_named(self, home, monkeypatch):
        monkeypatch.setenv("REDIS_URL", "redis://:geheim@127.0.0.1:1/0")

        with pytest.raises(LaunchError, match="REDIS_URL") as refused:
            connect_services(home)

        assert "geheim" not in str(refused.value)
