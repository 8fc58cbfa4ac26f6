"""The demo kit: provisioning over the real REST API, and what it makes of the receiver's log."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from agent.simulator.documents import topology
from agent.simulator.generator import generate_blueprint
from apps.agents.models import Agent
from apps.inventory.models import Device, Link, ProbeTarget, Site
from apps.lab.demo.check import overrides_in_force
from apps.lab.demo.folder import Folder
from apps.lab.demo.network import Provisioner
from apps.lab.demo.receiver_log import changed_repeats, missing_sequences, read_log
from apps.lab.demo.report import Milestones, Report
from apps.lab.demo.users import ensure_tenant, ensure_users
from apps.tenancy import acting_in
from apps.webhooks.models import Endpoint
from ispvm.settings.env import EgressEntry
from tests.clients import bearer

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class RestInProcess:
    """The demo's client, without a socket between: the same calls on the same views."""

    def __init__(self, client) -> None:
        self._client = client

    def get(self, path: str, **query: str) -> Any:
        return self._asked(self._client.get(f"/api/v1{path}", query))

    def all(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        yield from self.get(path, **query)["results"]

    def post(self, path: str, body: Any = None) -> Any:
        return self._asked(self._client.post(f"/api/v1{path}", body or {}, "json"))

    @staticmethod
    def _asked(answer: Any) -> Any:
        assert answer.status_code < 300, answer.content
        return answer.json()


@pytest.fixture
def folder(tmp_path) -> Folder:
    plan = {
        "receiver_url": "http://127.0.0.1:18003/hook",
        "webhook_secret_file": str(tmp_path / "webhook.secret"),
    }
    (tmp_path / "demo.json").write_text(json.dumps(plan))
    return Folder(tmp_path)


@pytest.fixture
def isp() -> dict[str, Any]:
    return topology(generate_blueprint(3), api_port=8728, echo_port=7007)


@pytest.fixture
def provisioned(db, folder, isp, settings):
    settings.ISPVM_EGRESS_ALLOW = (EgressEntry(ip_network("127.0.0.1/32"), None),)
    tenant = ensure_tenant(isp["isp"])
    admin = ensure_users(tenant, folder)
    rest = RestInProcess(bearer(tenant, admin))
    Provisioner(rest, isp, folder).run()
    return tenant, rest


def counts(tenant) -> list[int]:
    with acting_in(tenant):
        return [m.objects.count() for m in (Site, Device, Link, ProbeTarget, Agent, Endpoint)]


class TestProvisioning:
    def test_provisions_the_whole_network(self, provisioned, isp, folder):
        tenant, _ = provisioned

        number = len(isp["devices"])
        assert counts(tenant) == [len(isp["sites"]), number, len(isp["links"]), number, 2, 1]
        agents = folder.read_json("agents.json")
        assert [row["name"] for row in agents] == ["agent-core", "agent-north"]
        assert all(Path(row["token_file"]).read_text().strip() for row in agents)
        assert folder.read_text("webhook.secret").startswith("whsec_")

    def test_run_again_it_changes_nothing(self, provisioned, isp, folder):
        tenant, rest = provisioned
        before, secret = counts(tenant), folder.read_text("webhook.secret")

        Provisioner(rest, isp, folder).run()

        assert counts(tenant) == before
        assert folder.read_text("webhook.secret") == secret

    def test_a_lost_secret_is_replaced(self, provisioned, isp, folder):
        _, rest = provisioned
        lost = folder.read_text("webhook.secret")
        (folder.path / "webhook.secret").unlink()

        Provisioner(rest, isp, folder).run()

        assert folder.read_text("webhook.secret") not in {"", lost}

    def test_people_keep_their_passwords(self, provisioned, folder):
        tenant, _ = provisioned
        before = folder.read_json("credentials.json")

        ensure_users(tenant, folder)

        assert folder.read_json("credentials.json") == before
        assert {row["role"] for row in before} == {"admin", "noc", "readonly"}

    def test_overrides_and_changed_defaults_are_listed(self, provisioned):
        _, rest = provisioned

        lines = overrides_in_force(rest)

        assert any("fast_s" in line for line in lines)
        assert "probe interval: 5 s" in lines
        assert any(line.startswith("pack: unreachable for role core") for line in lines)


def line(event_id: str, sequence: int, body: str = "") -> str:
    event = {"event_id": event_id, "incident": {"id": "i1", "sequence": sequence}, "x": body}
    entry = {
        "time": NOON.isoformat(),
        "headers": {"webhook-id": event_id, "x-ispvm-event-type": "incident.updated"},
        "body": json.dumps(event),
        "body_sha256": body,
        "verified": True,
    }
    return json.dumps(entry) + "\n"


class TestReceiverLog:
    def test_an_incomplete_line_is_skipped(self, tmp_path):
        log = tmp_path / "log"
        log.write_text(line("e1", 1) + line("e2", 2)[:40])

        assert [row.event_id for row in read_log(log)] == ["e1"]

    def test_a_missing_log_is_empty(self, tmp_path):
        assert read_log(tmp_path / "none") == []

    def test_a_repeat_with_a_changed_body_is_found(self, tmp_path):
        log = tmp_path / "log"
        log.write_text(
            line("e1", 1, "a") + line("e1", 1, "a") + line("e2", 2, "b") + line("e2", 2, "c")
        )

        assert changed_repeats(read_log(log)) == ["e2"]

    def test_a_missing_sequence_number_is_found(self, tmp_path):
        log = tmp_path / "log"
        log.write_text(line("e1", 1) + line("e4", 4))

        assert missing_sequences(read_log(log)) == [2, 3]


class TestReport:
    def test_without_comparisons_it_does_not_pass(self):
        assert not Report().passed

    def test_one_wrong_comparison_fails_it(self):
        right, wrong = Report(), Report()
        for report in (right, wrong):
            report.equal("incidents", 1, 1)
        wrong.equal("incidents", 1, 2)

        assert (right.passed, wrong.passed) == (True, False)
        assert "WRONG" in wrong.comparisons[-1].line()

    def test_the_parts_add_up_to_the_whole(self):
        milestones = Milestones(*(NOON + timedelta(seconds=n) for n in (0, 2, 13, 18, 18.5)))

        assert milestones.total_seconds == 18.5
        assert len(milestones.lines()) == 5
