"""The shipped rules about sessions, agents and services, over stored telemetry."""

import pytest

from apps.alerts.models import Alert
from apps.alerts.selectors import alerts_for_correlation
from apps.inventory.models import BgpPeer, OspfNeighbor
from apps.inventory.services import create_service
from apps.tenancy import acting_in
from tests.agents.factories import make_agent
from tests.alerts.simulation import ACTOR, record_ingest_uptime

pytestmark = pytest.mark.django_db


class TestOtherRules:
    @pytest.fixture
    def agent(self, acme):
        with acting_in(acme):
            return make_agent("pop-1")

    @pytest.fixture
    def bgp_peer(self, acme, core):
        with acting_in(acme):
            return BgpPeer.objects.create(
                device=core, name="transit", remote_address="192.0.2.1", remote_as=64500
            )

    @pytest.fixture
    def ospf_neighbor(self, acme, core):
        with acting_in(acme):
            return OspfNeighbor.objects.create(
                device=core, router_id="10.0.0.7", area="backbone", address="10.1.1.7"
            )

    @pytest.fixture
    def service(self, acme, core, t0):
        with acting_in(acme):
            return create_service(name="pppoe", kind="pppoe", device=core, actor=ACTOR, at=t0)

    @pytest.mark.parametrize("state", ["2-Way", "TwoWay", "Full"])
    def test_an_adjacency_that_is_complete_does_not_fire(
        self, rules, ospf_neighbor, simulation, state
    ):
        """Two routers that are neither DR nor BDR stay in 2-Way (RFC 2328 10.4; case 11 of the faults)."""
        simulation.run("ospf.neighbor.state", "ospf_neighbor", ospf_neighbor.id, *[state] * 40)

        assert simulation.alerts() == []

    @pytest.mark.parametrize("state", ["Down", "Init", "ExStart", "Exchange", "Loading"])
    def test_an_adjacency_that_is_not_complete_fires(self, rules, ospf_neighbor, simulation, state):
        simulation.run("ospf.neighbor.state", "ospf_neighbor", ospf_neighbor.id, *[state] * 40)

        assert simulation.alerts() == [("ospf_not_full", "firing")]

    def test_a_bgp_session_that_is_not_established_fires_after_a_minute(
        self, rules, bgp_peer, simulation
    ):
        states = ["established", *["idle"] * 14]
        simulation.run("bgp.peer.state", "bgp_peer", bgp_peer.id, *states)

        assert simulation.alerts() == [("ebgp_not_established", "firing")]

    def test_state_values_ignore_case(self, rules, ospf_neighbor, simulation):
        simulation.run("ospf.neighbor.state", "ospf_neighbor", ospf_neighbor.id, *["Full"] * 15)

        assert simulation.alerts() == []

    def test_an_offline_agent_fires_an_absence(self, acme, rules, agent, simulation):
        simulation.run("agent.up", "agent", agent.id, 1.0, *[None] * 8)

        assert simulation.alerts() == [("agent_heartbeat_missed", "firing")]
        with acting_in(acme):
            (alert,) = alerts_for_correlation(simulation.at(50))
            observation = Alert.objects.get().observation
        assert alert.symptom == "agent_missing"
        assert alert.summary_message.code == "alerts.summary.agent_heartbeat_missed"
        assert observation["code"] == "alerts.value.last_sample"
        assert observation["value"] == f"last sample at {observation['params']['time']}"

    def test_an_agent_that_sends_foreign_data_fires_until_it_stops(self, rules, agent, simulation):
        name = "agent.quarantine.active"
        simulation.run(name, "agent", agent.id, 0.0, *[1.0] * 4)
        assert simulation.alerts() == [("agent_data_quarantined", "firing")]

        simulation.run(name, "agent", agent.id, *[1.0] * 5, *[0.0] * 5)
        assert simulation.alerts() == [("agent_data_quarantined", "ok")]

    @pytest.mark.parametrize(
        ("started", "last_recorded", "fires"),
        [
            (600, 0, True),  # up all the time
            (600, 10, False),  # it has stopped
            (20, 0, False),  # restarted too recently
            (35, 0, True),  # restarted long enough ago
        ],
    )
    def test_an_absence_while_ingest_was_down_does_not_fire(
        self, acme, rules, agent, simulation, started, last_recorded, fires
    ):
        record_ingest_uptime(started, last_recorded)

        simulation.add_sample(0, "agent.up", "agent", agent.id, 1.0)
        simulation.evaluate(50)

        assert simulation.alerts() == ([("agent_heartbeat_missed", "firing")] if fires else [])

    def test_an_open_absence_outlasts_an_ingest_outage(self, acme, rules, agent, simulation):
        simulation.run("agent.up", "agent", agent.id, 1.0, *[None] * 8)
        record_ingest_uptime(1, 0)

        simulation.evaluate(47)
        assert simulation.alerts() == [("agent_heartbeat_missed", "firing")]
        simulation.evaluate(60)
        assert simulation.alerts() == [("agent_heartbeat_missed", "firing")]

    def test_cpu_is_evaluated_over_its_window(self, rules, core, simulation):
        simulation.run("device.cpu_pct", "device", core.id, *[95.0, 10.0] * 40, every=10)

        assert simulation.alerts() == []

    def test_a_concentrator_without_sessions_fires(self, rules, service, simulation):
        simulation.run("pppoe.sessions.active", "service", service.id, 100.0, *[0.0] * 8)

        assert simulation.alerts() == [("pppoe_sessions_lost", "firing")]
