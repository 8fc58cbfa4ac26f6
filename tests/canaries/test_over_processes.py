"""Secrets planted in a platform that runs as it does for an operator: every process, agents, routers, real sockets."""

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
from tests.canaries.over_http import OverHttp
from tests.canaries.planting import Planter
from tests.canaries.search import broker, database, found_in
from tests.stack import Stack
from tests.supervisor.waiting import eventually

pytestmark = [pytest.mark.long, pytest.mark.real]

LEAST = 40
WHILE_BROKEN = 20
#: An agent keeps these itself, each in a file of its own that only it may read.
KEYS_OF_AN_AGENT = ("identity.pem", "sealing.key")
PERSON = "noc@demo.example"


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    with stacks.running(tmp_path_factory.mktemp("canaries") / "home") as found:
        yield found


def of_the_installation(stack: Stack) -> dict[str, str | bytes]:
    """What the processes are given to run with, and what agents enrolled with."""
    found: dict[str, str | bytes] = {
        f"password of {name}": urlsplit(url).password or "" for name, url in stack.urls.items()
    }
    secrets = stack.home / "secrets"
    found["secret key"] = (secrets / "secret_key").read_text().strip()
    for name in ("master_key", "ca_key"):
        found[name] = bytes.fromhex((secrets / name).read_text())
    found["token of the demo"] = stack.token
    for folder in stack.agents:
        token = folder.with_name(f"{folder.name}.token").read_text()
        found[f"enrolment token of {folder.name}"] = token.strip()
        found[f"key of {folder.name}"] = body_of_key(folder / "identity.pem")
        found[f"sealing key of {folder.name}"] = (folder / "sealing.key").read_bytes()
    return found


def body_of_key(path: Path) -> str:
    """Enough of a private key in PEM to know it by."""
    after = path.read_text().partition("PRIVATE KEY-----\n")[2]
    return after.splitlines()[0]


def password_of(stack: Stack, email: str) -> str:
    people = json.loads((stack.home / "demo/credentials.json").read_text())
    return next(one["password"] for one in people if one["email"] == email)


def give_to_agents(planter: Planter, stack: Stack) -> None:
    """Logins that an agent fetches, opens and tries on a router, where they are refused."""
    device = rows(planter, "devices")[0]["id"]
    sets = {row["name"]: row["id"] for row in rows(planter, "credential-sets")}
    for name in ("routeros password", "r"):
        body = {"device": device, "credential_set": sets[name]}
        answer = planter.keep(planter.post("diagnostics/connection-tests", body))
        assert answer.status_code == 202, answer.content
        path = f"/api/v1/diagnostics/connection-tests/{answer.json()['id']}/"
        eventually(lambda path=path: tried(planter, path))


def tried(planter: Planter, path: str) -> bool:
    return planter.keep(planter.program.get(path)).json()["outcome"] == "wrong_credentials"


def rows(planter: Planter, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = planter.program.get(f"/api/v1/{name}/").json()["results"]
    return found


def call_webhooks(planter: Planter, stack: Stack) -> None:
    """Signed with a secret: to somebody who listens, and to somebody who is not there."""
    heard = stack.home / "demo/receiver.jsonl"
    before = heard.read_bytes().count(b"\n")
    for url in (f"http://127.0.0.1:{stack.receiver_port}/hook", "https://hook.example/z"):
        hook = planter.post("webhook-endpoints", {"name": url[:30], "url": url})
        planter.shown_once(f"secret for {url}", hook, "secret")
        planter.keep(planter.post(f"webhook-endpoints/{hook.json()['id']}/test", {}))
    eventually(lambda: heard.read_bytes().count(b"\n") > before)


@contextmanager
def sessions_ending(stack: Stack) -> Iterator[None]:
    """Meanwhile the database ends the application's sessions over and over, in the middle of what they do."""
    stopped = threading.Event()
    killer = psycopg2.connect(stack.urls["DATABASE_URL"])
    killer.autocommit = True

    def end_them() -> None:
        with closing(killer), killer.cursor() as cursor:
            while not stopped.wait(0.002):
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE usename = current_user AND pid <> pg_backend_pid()"
                )

    thread = threading.Thread(target=end_them)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def while_sessions_end(planter: Planter, stack: Stack) -> int:
    """Secrets in requests whose database session is ended under them; how many broke."""
    broken = 0
    with sessions_ending(stack):
        for number in range(WHILE_BROKEN):
            name = f"while sessions end {number}"
            body = {"name": name, "kind": "ssh", "username": "u", "password": planter.put(name)}
            broken += planter.keep(planter.post("credential-sets", body)).status_code >= 500
    assert broken
    return broken


def places(planter: Planter, stack: Stack) -> dict[str, bytes]:
    return {
        "the database": database(stack.urls["DATABASE_BACKUP_URL"], "ispvm"),
        "the broker": broker(stack.urls["REDIS_URL"]),
        "command lines": stack.command_lines(),
        "answers to what was sent": b"\n".join(planter.answers),
        **stack.logs(),
        **stack.metrics(),
        "what the receiver keeps": (stack.home / "demo/receiver.jsonl").read_bytes(),
        **stack.agents_disks(but=KEYS_OF_AN_AGENT),
    }


def assert_really_read(searched: dict[str, bytes]) -> None:
    """What is no secret is where it must be."""
    assert b"routeros password" in searched["the database"]
    assert b"Traceback" in searched["log of web"]
    assert b"django_http_requests_total" in searched["metrics of web"]
    for name in ("the broker", "log of worker-deliver", "metrics of worker", "log of agent-core"):
        assert searched[name], name
    assert b"sealed" in searched["disk of agent-core: config.json"]


def test_no_secret_is_where_others_read(stack, record_property):
    planter = Planter(OverHttp(stack.web, stack.token), lambda: OverHttp(stack.web))
    planter.secrets |= of_the_installation(stack)
    planter.credentials()
    planter.shown(rows(planter, "sites")[0]["id"])
    planter.people(OverHttp(stack.web), PERSON, password_of(stack, PERSON))
    planter.faulty()
    give_to_agents(planter, stack)
    call_webhooks(planter, stack)
    broken = while_sessions_end(planter, stack)

    searched = places(planter, stack)
    hits = found_in(planter.secrets, searched)

    size = sum(len(text) for text in searched.values()) / 2**20
    record_property(
        "bar",
        f"S1 canaries over running processes: {len(planter.secrets)} planted, {broken} in requests that broke, "
        f"{len(searched)} places ({size:.0f} MiB) searched, {len(hits)} found",
    )
    assert hits == []
    assert len(planter.secrets) >= LEAST
    assert_really_read(searched)
