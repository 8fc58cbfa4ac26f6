"""Canary secrets in a running platform with all of its processes, agents, routers and sockets."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest

from tests import stack as stacks
from tests.canaries.http_client import HttpClient
from tests.canaries.planting import Planter
from tests.canaries.search import dump_broker, dump_database, find_leaks
from tests.stack import Stack
from tests.supervisor.waiting import eventually

pytestmark = [pytest.mark.long, pytest.mark.real]

MIN_CANARIES = 40
REQUESTS_WHILE_TERMINATING = 20
#: Private keys of an agent, each in a file that only the agent can read.
KEYS_OF_AN_AGENT = ("identity.pem", "sealing.key")
USER_EMAIL = "noc@demo.example"


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    with stacks.running(tmp_path_factory.mktemp("canaries") / "home") as running_stack:
        yield running_stack


def installation_secrets(stack: Stack) -> dict[str, str | bytes]:
    """Secrets in the configuration of the processes, and those of the agents."""
    installation: dict[str, str | bytes] = {
        f"password of {name}": urlsplit(url).password or "" for name, url in stack.urls.items()
    }
    secrets = stack.home / "secrets"
    installation["secret key"] = (secrets / "secret_key").read_text().strip()
    for name in ("master_key", "ca_key"):
        installation[name] = bytes.fromhex((secrets / name).read_text())
    installation["token of the demo"] = stack.token
    for folder in stack.agents:
        token = folder.with_name(f"{folder.name}.token").read_text()
        installation[f"enrollment token of {folder.name}"] = token.strip()
        installation[f"key of {folder.name}"] = body_of_key(folder / "identity.pem")
        installation[f"sealing key of {folder.name}"] = (folder / "sealing.key").read_bytes()
    return installation


def body_of_key(path: Path) -> str:
    """The first line of a private key in PEM, enough to recognize it."""
    body = path.read_text().partition("PRIVATE KEY-----\n")[2]
    return body.splitlines()[0]


def password_of(stack: Stack, email: str) -> str:
    users = json.loads((stack.home / "demo/credentials.json").read_text())
    return next(user["password"] for user in users if user["email"] == email)


def run_connection_tests(planter: Planter, stack: Stack) -> None:
    """Logins that an agent fetches, decrypts and tries on a router, which refuses them."""
    device = rows(planter, "devices")[0]["id"]
    sets = {row["name"]: row["id"] for row in rows(planter, "credential-sets")}
    for name in ("routeros password", "r"):
        body = {"device": device, "credential_set": sets[name]}
        response = planter.record(planter.post("diagnostics/connection-tests", body))
        assert response.status_code == 202, response.content
        path = f"/api/v1/diagnostics/connection-tests/{response.json()['id']}/"
        eventually(lambda path=path: is_refused(planter, path))


def is_refused(planter: Planter, path: str) -> bool:
    return planter.record(planter.program.get(path)).json()["outcome"] == "wrong_credentials"


def rows(planter: Planter, name: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = planter.program.get(f"/api/v1/{name}/").json()["results"]
    return results


def call_webhooks(planter: Planter, stack: Stack) -> None:
    """Signed with a secret: to a receiver that listens, and to a host that does not exist."""
    received = stack.home / "demo/receiver.jsonl"
    before = received.read_bytes().count(b"\n")
    for url in (f"http://127.0.0.1:{stack.receiver_port}/hook", "https://hook.example/z"):
        hook = planter.post("webhook-endpoints", {"name": url[:30], "url": url})
        planter.record_one_time_secret(f"secret for {url}", hook, "secret")
        planter.record(planter.post(f"webhook-endpoints/{hook.json()['id']}/test", {}))
    eventually(lambda: received.read_bytes().count(b"\n") > before)


@contextmanager
def database_sessions_terminating(stack: Stack) -> Iterator[None]:
    """Meanwhile the application's database sessions are terminated repeatedly, in the middle of requests."""
    stopped = threading.Event()
    killer = psycopg2.connect(stack.urls["DATABASE_URL"])
    killer.autocommit = True

    def terminate_sessions() -> None:
        with closing(killer), killer.cursor() as cursor:
            while not stopped.wait(0.002):
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE usename = current_user AND pid <> pg_backend_pid()"
                )

    thread = threading.Thread(target=terminate_sessions)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def send_while_sessions_terminate(planter: Planter, stack: Stack) -> int:
    """Secrets in requests whose database session is terminated; returns how many failed."""
    failed = 0
    with database_sessions_terminating(stack):
        for number in range(REQUESTS_WHILE_TERMINATING):
            name = f"while sessions end {number}"
            body = {"name": name, "kind": "ssh", "username": "u", "password": planter.put(name)}
            failed += planter.record(planter.post("credential-sets", body)).status_code >= 500
    assert failed
    return failed


def dump_all(planter: Planter, stack: Stack) -> dict[str, bytes]:
    return {
        "the database": dump_database(stack.urls["DATABASE_BACKUP_URL"], "ispvm"),
        "the broker": dump_broker(stack.urls["REDIS_URL"]),
        "command lines": stack.command_lines(),
        "responses to the requests": b"\n".join(planter.responses),
        **stack.logs(),
        **stack.metrics(),
        "file of the webhook receiver": (stack.home / "demo/receiver.jsonl").read_bytes(),
        **stack.agents_disks(but=KEYS_OF_AN_AGENT),
    }


def assert_all_read(searched: dict[str, bytes]) -> None:
    """All sources were really read: they contain text that is no secret."""
    assert b"routeros password" in searched["the database"]
    assert b"Traceback" in searched["log of web"]
    assert b"django_http_requests_total" in searched["metrics of web"]
    for name in ("the broker", "log of worker-deliver", "metrics of worker", "log of agent-core"):
        assert searched[name], name
    assert b"sealed" in searched["disk of agent-core: config.json"]


def test_no_secret_leaks(stack, record_property):
    planter = Planter(HttpClient(stack.web, stack.token), lambda: HttpClient(stack.web))
    planter.secrets |= installation_secrets(stack)
    planter.create_credentials()
    planter.create_one_time_secrets(rows(planter, "sites")[0]["id"])
    planter.sign_in_secrets(HttpClient(stack.web), USER_EMAIL, password_of(stack, USER_EMAIL))
    planter.send_invalid_requests()
    run_connection_tests(planter, stack)
    call_webhooks(planter, stack)
    failed = send_while_sessions_terminate(planter, stack)

    searched = dump_all(planter, stack)
    hits = find_leaks(planter.secrets, searched)

    size = sum(len(text) for text in searched.values()) / 2**20
    record_property(
        "bar",
        f"S1 canaries over running processes: {len(planter.secrets)} planted, {failed} in requests that failed, "
        f"{len(searched)} sources ({size:.0f} MiB) searched, {len(hits)} found",
    )
    assert hits == []
    assert len(planter.secrets) >= MIN_CANARIES
    assert_all_read(searched)
