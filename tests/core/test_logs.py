"""Log lines: JSON that says which request, tenant and job; never a secret."""

import io
import json
import logging
from uuid import UUID, uuid4

import pytest
import structlog
from celery import current_app
from celery.contrib.testing.worker import start_worker
from django.test import Client

from apps.core.logs import HIDDEN
from apps.events import subscriptions
from apps.events.log_context import HEADER as JOB_HEADER
from apps.events.outbox import emit
from apps.tenancy import acting_in
from ispvm.settings.logging import lines as formatter
from tests.clients import bearer
from tests.conftest import PASSWORD
from tests.supervisor.waiting import eventually

log = structlog.get_logger("tests.logs")


class Written:
    """What was logged, line by line."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        recipe = formatter("json")
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(recipe.pop("()")(**recipe))

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, event: str) -> dict:
        (line,) = [line for line in self.lines if line["event"] == event]
        return line


@pytest.fixture
def output_lines():
    response = Written()
    root = logging.getLogger()
    level = root.level
    root.addHandler(response.handler)
    root.setLevel(logging.INFO)
    yield response
    root.removeHandler(response.handler)
    root.setLevel(level)


@pytest.mark.django_db
class TestRequest:
    def test_a_page_says_request_and_tenant(self, acme, acme_noc, output_lines):
        client = Client()
        client.force_login(acme_noc)

        answer = client.get("/incidents/?q=private")

        line = output_lines.of("request")
        assert line["request_id"] == answer["X-Request-ID"]
        assert UUID(line["request_id"])
        assert line["tenant_id"] == str(acme.id)
        assert (line["method"], line["path"], line["status"]) == ("GET", "/incidents/", 200)
        assert "private" not in output_lines.text

    def test_rest_says_them_too_and_lines_on_the_way_do(self, acme, acme_noc, output_lines):
        api = bearer(acme, acme_noc)

        answer = api.get("/api/v1/incidents/", headers={"X-Request-ID": "from-the-caller.1"})

        assert answer["X-Request-ID"] == "from-the-caller.1"
        line = output_lines.of("request")
        assert (line["request_id"], line["tenant_id"]) == ("from-the-caller.1", str(acme.id))

    @pytest.mark.parametrize(
        "given", ["short", "x" * 65, "with space", 'quote"quote"', "a\nb-forged"]
    )
    def test_an_id_that_could_be_anything_is_replaced(self, client, given):
        answer = client.get("/livez", headers={"X-Request-ID": given})

        assert UUID(answer["X-Request-ID"])

    def test_nothing_of_a_request_sticks_to_the_next(self, acme, acme_noc, output_lines):
        client = Client()
        client.force_login(acme_noc)
        client.get("/incidents/")
        Client().get("/nowhere")

        log.info("later")

        assert not {"request_id", "tenant_id"} & set(output_lines.of("later"))
        assert "tenant_id" not in output_lines.lines[-2]

    def test_health_is_no_news(self, client, output_lines):
        client.get("/livez")

        assert output_lines.lines == []


@pytest.mark.real
@pytest.mark.django_db(transaction=True)
class TestTask:
    def test_says_job_tenant_and_the_request_that_rang(self, acme, output_lines, monkeypatch):
        monkeypatch.setattr(subscriptions, "_handlers", {})
        monkeypatch.setattr(subscriptions, "_topics", {})

        def fail(event) -> None:
            logging.getLogger("some.library").warning("on the way")
            raise ValueError("password=hunter2-hunter2 postgres://me:hunter2-hunter2@db/x")

        subscriptions.subscribe("thing.happened", name="test.listen", handler=fail)
        with acting_in(acme):
            emit(topic="thing.happened", key="a", payload={})
        queue = f"test-{uuid4().hex}"
        current_app.loader.import_default_modules()
        with start_worker(
            current_app, pool="solo", queues=[queue], perform_ping_check=False, loglevel="ERROR"
        ):
            # A worker that starts configures logging anew.
            logging.getLogger().addHandler(output_lines.handler)
            with structlog.contextvars.bound_contextvars(request_id="request-1234"):
                sent = current_app.send_task(
                    "events.dispatch", kwargs={"tenant_id": str(acme.id)}, queue=queue
                )
            eventually(lambda: "outbox_handler_failed" in output_lines.text)

        for event in ("on the way", "outbox_handler_failed"):
            line = output_lines.of(event)
            assert line["job_id"] == sent.id
            assert line["tenant_id"] == str(acme.id)
            assert line["request_id"] == "request-1234"
            assert line["task"] == "events.dispatch"
        assert "ValueError" in output_lines.of("outbox_handler_failed")["exception"]
        assert "hunter2" not in output_lines.text
        assert JOB_HEADER not in output_lines.text


class TestSecrets:
    @pytest.mark.parametrize(
        "name",
        [
            "password",
            "new_password",
            "secret",
            "api_token",
            "Authorization",
            "cookie",
            "private_key",
        ],
    )
    def test_fields_by_name(self, output_lines, name):
        log.info("said", **{name: "canary-1", "inner": {name: "canary-2"}, "harmless": "kept"})

        assert "canary" not in output_lines.text
        assert output_lines.lines[0][name] == HIDDEN
        assert output_lines.lines[0]["harmless"] == "kept"

    @pytest.mark.parametrize(
        "text",
        [
            "postgres://ispvm_app:canary@127.0.0.1/ispvm",
            "redis://:canary@127.0.0.1:6379/0",
            "Authorization: Bearer canarycanary",
            "ispvm_" + "canary_-" * 5 + "abc",
            "ispvm1.canarycanarycanarycanarycanary",
            "whsec_canarycanary==",
            "password=canary",
            "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
        ],
    )
    def test_texts_by_shape_also_in_tracebacks_and_from_libraries(self, output_lines, text):
        log.info("said", what=text)
        try:
            int(text)
        except ValueError:
            logging.getLogger("some.library").exception("it failed with %s", text)

        assert "canary" not in output_lines.text
        assert len(output_lines.lines) == 2

    def test_names_of_numbers_and_plain_urls_stay(self, output_lines):
        log.info("said", what="ispvm_webhook_pending_age_seconds https://noc.example:8443/a@b")

        assert HIDDEN not in output_lines.text


@pytest.mark.django_db
def test_signing_in_leaves_no_password(client, acme_noc, output_lines):
    client.post("/sign-in/", {"username": acme_noc.email, "password": PASSWORD})
    client.post("/sign-in/", {"username": acme_noc.email, "password": "canary-canary"})

    assert PASSWORD not in output_lines.text
    assert "canary" not in output_lines.text
