"""Canary secrets through every page and endpoint; then everything that others can read is searched for them."""

import json
import logging
import os
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from celery import shared_task
from django.conf import settings
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from apps.accounts import attempts
from apps.agents.services import ensure_authority
from apps.core import clock
from apps.tenancy import acting_in
from tests.canaries.planting import Planter, canary, reads
from tests.canaries.search import dump_broker, dump_database, encodings_of, find_leaks
from tests.clients import bearer
from tests.conftest import PASSWORD
from tests.core.test_logs import Written
from tests.inventory.factories import make_site

MIN_CANARIES = 40
WAITING = "canaries-waiting"


@shared_task(name="tests.break_with", queue="upkeep")
def break_with(*, reference: str) -> None:
    """A task that holds a secret when it breaks."""
    secret = TASK_SECRETS[reference]
    raise RuntimeError(f"cannot log in, secret={secret}")


TASK_SECRETS: dict[str, str] = {}


def installation_secrets() -> dict[str, str | bytes]:
    """Secrets in the configuration of the processes."""
    secrets: dict[str, str | bytes] = {"secret key": settings.SECRET_KEY}
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_BACKUP_URL", "REDIS_URL"):
        secrets[f"password of {name}"] = urlsplit(os.environ[name]).password or ""
    text = Path(settings.ISPVM_MASTER_KEY_FILE).read_text(encoding="ascii").strip()
    return secrets | {"master key": bytes.fromhex(text)}


@pytest.fixture
def captured_log() -> Iterator[Written]:
    """The log output with the production configuration."""
    captured, root = Written(), logging.getLogger()
    level = root.level
    root.addHandler(captured.handler)
    root.setLevel(logging.INFO)
    yield captured
    root.removeHandler(captured.handler)
    root.setLevel(level)


@pytest.fixture
def planter(acme, acme_admin, monkeypatch) -> Planter:
    monkeypatch.setattr(attempts, "KEY_PREFIX", f"test-{uuid4()}")
    return Planter(bearer(acme, acme_admin))


def plant(planter: Planter, acme: Any, user: Any, monkeypatch: Any) -> None:
    with acting_in(acme):
        site = str(make_site("hub").id)
    ensure_authority(at=clock.now())
    planter.secrets |= installation_secrets()
    planter.create_credentials()
    planter.create_one_time_secrets(site)
    browser = Client(raise_request_exception=False)
    new = planter.sign_in_secrets(browser, user.email, PASSWORD)
    user.refresh_from_db()
    assert user.check_password(new)
    planter.send_invalid_requests()
    planter.log_secrets()
    TASK_SECRETS["x"] = planter.put("in a task that breaks")
    break_with.apply(kwargs={"reference": "x"})
    # No worker consumes this queue: the task stays in the broker, where the search reads it.
    break_with.apply_async(kwargs={"reference": "x"}, queue=WAITING)
    with monkeypatch.context() as patched:
        planter.send_failing_request(patched)


def dump_all(planter: Planter, logged: str) -> dict[str, bytes]:
    described = SchemaGenerator().get_schema(request=None, public=True)
    document = json.loads(json.dumps(described, default=str))
    metrics = Client().get("/metrics", REMOTE_ADDR="127.0.0.1")
    assert metrics.status_code == 200
    url = os.environ["DATABASE_BACKUP_URL"]
    return {
        "the database": dump_database(url, settings.DATABASES["default"]["NAME"]),
        "the broker": dump_broker(settings.ISPVM_REDIS_URL),
        "the log": logged.encode(),
        "the metrics": metrics.content,
        "responses to the requests": b"\n".join(planter.responses),
        "everything that REST shows": b"\n".join(reads(planter.program, document)),
    }


@pytest.mark.django_db(transaction=True)
def test_no_secret_leaks(planter, acme, acme_noc, monkeypatch, record_property, captured_log):
    plant(planter, acme, acme_noc, monkeypatch)

    searched = dump_all(planter, captured_log.text)
    hits = find_leaks(planter.secrets, searched)

    sizes = ", ".join(f"{name} ({len(text)} bytes)" for name, text in searched.items())
    summary = f"S1 canaries: {len(planter.secrets)} planted, {len(hits)} found in {sizes}"
    record_property("bar", summary)
    assert hits == []
    assert len(planter.secrets) >= MIN_CANARIES
    # All sources were really read: they contain text that is no secret.
    assert b"routeros password" in searched["the database"]
    assert b"could not use password=[hidden]" in searched["the log"]
    assert b"cannot log in, secret=[hidden]" in searched["the log"]
    assert b"routeros password" in searched["everything that REST shows"]
    assert WAITING.encode() in searched["the broker"]
    assert b"tests.break_with" in searched["the broker"]


@pytest.mark.parametrize("change", [str, lambda s: f"x{s}y", lambda s: f"ab{s}", lambda s: f"z{s}"])
def test_a_leak_would_be_found_in_any_form(change):
    secret = canary()
    text = change(secret).encode()
    sources = {
        "plain": text,
        "hex": text.hex().encode(),
        "base64": b64encode(text),
    }

    assert len(find_leaks({"it": secret}, sources)) == 3
    assert find_leaks({"another": canary()}, sources) == []
    assert all(len(form) >= 8 for form in encodings_of(secret))


@pytest.mark.django_db(transaction=True)
def test_a_secret_in_a_row_and_in_a_queue_is_found(planter, acme):
    secret = canary()
    with acting_in(acme):
        make_site(f"hub {secret}")
    break_with.apply_async(kwargs={"reference": secret}, queue=f"canary-{uuid4()}")

    url = os.environ["DATABASE_BACKUP_URL"]
    searched = {
        "the database": dump_database(url, settings.DATABASES["default"]["NAME"]),
        "the broker": dump_broker(settings.ISPVM_REDIS_URL),
    }

    assert find_leaks({"it": secret}, searched) == ["it in the database", "it in the broker"]
