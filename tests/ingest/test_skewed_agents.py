"""Agents with wrong clocks, from their batches to the alerts: the same alerts at the same true times."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from apps.alerts import services as alerts
from apps.alerts.models import Alert
from apps.core import clock
from apps.tenancy import acting_in
from tests.alerts.simulation import ACTOR
from tests.ingest.client import enroll

pytestmark = pytest.mark.django_db

CASE = Path(__file__).parents[3] / "shared" / "cases" / "faults" / "01_agent_clock_ahead.json"
#: In seconds, by a negative number behind.
SKEWS = (-3600, -61, -12, -3, 0, 3, 6, 8, 12, 30, 59, 61, 3600)
PROBE_EVERY, EVALUATE_EVERY, HEARTBEAT_EVERY = 5, 2, 10
DOWN_AT, UP_AT, END = 30, 120, 180


class SkewScenario:
    """A router that goes down and comes back, seen by an agent with this clock."""

    def __init__(self, tenant, monkeypatch, skew_at) -> None:
        self.tenant = tenant
        self.skew_at = skew_at
        self.second = 0.0
        self.began = clock.now().replace(microsecond=0)
        self.agent = enroll(tenant)
        with acting_in(tenant):
            alerts.install_pack(pack="first", actor=ACTOR, at=self.began)
        monkeypatch.setattr(clock, "now", self.now)
        self.fired: dict[str, float] = {}
        self.recovered: dict[str, float] = {}

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.second)

    def agents_time(self, second: float | None = None) -> str:
        second = self.second if second is None else second
        moment = self.began + timedelta(seconds=second + self.skew_at(self.second))
        return moment.isoformat()

    def run(self, header: bool) -> None:
        for tenths in range(END * 2):
            self.second = tenths / 2
            if self.second % HEARTBEAT_EVERY == 0.5:
                beat = {"sent_at": self.agents_time(), "boot_id": str(self.agent.boot_id)}
                assert self.agent.post("heartbeat", beat).status_code == 200
            if self.second % PROBE_EVERY == 1:
                self.push(header)
            if self.second % EVALUATE_EVERY == 1.5:
                self.evaluate()

    def push(self, header: bool) -> None:
        """A probe one second ago, in a batch that was written by the same clock."""
        probed = self.second - 1
        value = 0.0 if DOWN_AT <= probed < UP_AT else 1.0
        sample = self.agent.metric(value, metric_name="device.up") | {
            "ts": self.agents_time(probed)
        }
        body = self.agent.batch(
            int(self.second // PROBE_EVERY) + 1, metrics=[sample], sent_at=self.agents_time()
        )
        answer = self.agent.post("batch", body, headers={"X-ISPVM-Waited": "0.0"} if header else {})
        assert answer.json()["rejected"] == []

    def evaluate(self) -> None:
        alerts.evaluate_tenant(tenant_id=self.tenant.id, at=self.now())
        with acting_in(self.tenant):
            for alert in Alert.objects.select_related("rule"):
                if alert.fired_at:
                    self.fired.setdefault(alert.rule.key, self.seconds(alert.fired_at))
                if alert.state == "ok" and alert.recovered_at:
                    self.recovered.setdefault(alert.rule.key, self.seconds(alert.recovered_at))

    def seconds(self, moment: datetime) -> float:
        return (moment - self.began).total_seconds()

    def since(self, rule: str) -> float:
        with acting_in(self.tenant):
            return self.seconds(Alert.objects.get(rule__key=rule).since)


@pytest.mark.parametrize("header", [True, False], ids=["own agent", "agent without the header"])
@pytest.mark.parametrize("skew", SKEWS)
def test_a_steady_skew_moves_nothing(acme, monkeypatch, skew, header):
    """Case 01 of the faults, in both directions."""
    scenario = SkewScenario(acme, monkeypatch, lambda _: skew)
    scenario.run(header)

    assert DOWN_AT + 10 <= scenario.fired["unreachable"] <= DOWN_AT + 10 + PROBE_EVERY
    assert abs(scenario.since("unreachable") - DOWN_AT) <= 1
    assert UP_AT + 10 <= scenario.recovered["unreachable"] <= UP_AT + 10 + PROBE_EVERY
    assert ("agent_clock_skewed" in scenario.fired) == (abs(skew) > 2)
    if skew:
        assert scenario.fired["agent_clock_skewed"] <= 15


@pytest.mark.parametrize(
    "jumps",
    [
        {20: 3600},
        {20: -3600},
        {32: 61},
        {32: -61},
        {33: 4},
        {33: -4},
        {20: 30, 33: -30, 60: 0, 110: 3600, 125: 0},
    ],
    ids=str,
)
def test_a_clock_that_jumps_moves_nothing(acme, monkeypatch, jumps):
    """At these seconds the clock of the agent is set to be so many seconds off."""

    def skew_at(second: float) -> float:
        return next((skew for at, skew in reversed(jumps.items()) if second >= at), 0)

    scenario = SkewScenario(acme, monkeypatch, skew_at)
    scenario.run(header=True)

    assert abs(scenario.fired["unreachable"] - DOWN_AT - 10) <= 2 * PROBE_EVERY
    assert abs(scenario.since("unreachable") - DOWN_AT) <= PROBE_EVERY
    assert abs(scenario.recovered["unreachable"] - UP_AT - 10) <= 2 * PROBE_EVERY
    assert "agent_clock_skewed" in scenario.fired


@pytest.mark.skipif(not CASE.exists(), reason="the shared cases are not part of the project")
def test_case_01_is_among_them():
    case = json.loads(CASE.read_text(encoding="utf-8"))

    assert set(case["skew_seconds"]) <= set(SKEWS)
    assert (case["probe_every_s"], case["evaluate_every_s"]) == (PROBE_EVERY, EVALUATE_EVERY)
