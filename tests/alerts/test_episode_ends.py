"""Every episode ends, for a reason: also that of an entity that is removed, disabled or out of scope."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from apps.agents import services as agents
from apps.alerts import services
from apps.alerts.models import Alert, AlertRule, AlertTransition
from apps.inventory import services as inventory
from apps.inventory.models import BgpPeer, Interface, OspfNeighbor
from apps.tenancy import acting_in
from tests.agents.factories import make_agent
from tests.alerts.simulation import ACTOR, Simulation
from tests.inventory.factories import make_device, make_link, make_site

pytestmark = pytest.mark.django_db

HOUR = 3600


@dataclass
class Network:
    """Two linked routers with everything that a rule may be about."""

    simulation: Simulation

    def build(self, t0: Any) -> None:
        self.t0 = t0
        self.near = make_device("cr1", role="core")
        self.far = make_device("er1", role="edge", management_address="127.20.0.2")
        self.port = Interface.objects.create(device=self.near, name="to-er1")
        self.link = make_link(self.near, self.far)
        self.peer = BgpPeer.objects.create(
            device=self.near, name="transit", remote_address="192.0.2.1", remote_as=64500
        )
        self.neighbor = OspfNeighbor.objects.create(
            device=self.near, router_id="10.0.0.7", area="backbone", address="10.1.1.7"
        )
        self.service = inventory.create_service(
            name="pppoe", kind="pppoe", device=self.near, actor=ACTOR, at=t0
        )
        self.agent = make_agent("pop-1")

    @property
    def act(self) -> dict[str, Any]:
        return {"actor": ACTOR, "at": self.t0}


@pytest.fixture
def network(acme, rules, simulation, t0) -> Network:
    network = Network(simulation)
    with acting_in(acme):
        network.build(t0)
    return network


#: What is wrong: rule, metric, bad value, and the entity.
FAULTS: dict[str, tuple[str, str, Any, Callable[[Network], tuple[str, Any]]]] = {
    "unreachable": ("unreachable", "device.up", 0.0, lambda n: ("device", n.near.id)),
    "port": ("interface_down", "interface.oper_up", 0.0, lambda n: ("interface", n.port.id)),
    "peer": ("ebgp_not_established", "bgp.peer.state", "idle", lambda n: ("bgp_peer", n.peer.id)),
    "neighbor": (
        "ospf_not_full",
        "ospf.neighbor.state",
        "down",
        lambda n: ("ospf_neighbor", n.neighbor.id),
    ),
    "sessions": (
        "pppoe_sessions_lost",
        "pppoe.sessions.active",
        0.0,
        lambda n: ("service", n.service.id),
    ),
    "agent": ("agent_heartbeat_missed", "agent.up", 1.0, lambda n: ("agent", n.agent.id)),
}


def remove(*rows: str) -> Callable[[Network], None]:
    def act(network: Network) -> None:
        for name in rows:
            row = getattr(network, name)
            if name == "link":
                inventory.delete_link(link=row, **network.act)
            elif name in {"near", "far"}:
                inventory.delete_device(device=row, **network.act)
            elif name == "service":
                inventory.delete_service(service=row, **network.act)
            else:
                row.delete()

    return act


def disable(name: str) -> Callable[[Network], None]:
    def act(network: Network) -> None:
        row = getattr(network, name)
        row.disabled = True
        row.save()

    return act


def restrict(**scope: Any) -> Callable[[Network], None]:
    """The rule gets another scope."""

    def act(network: Network) -> None:
        rule = AlertRule.objects.get(key="unreachable")
        rule.document["scope"] |= scope
        rule.save()

    return act


def move(network: Network) -> None:
    rule = AlertRule.objects.get(key="unreachable")
    rule.document["scope"] |= {"by_site_ids": [str(network.near.site_id)]}
    rule.save()
    site = make_site("elsewhere")
    inventory.update_device(device=network.near, changes={"site": site}, **network.act)


def change_role(network: Network) -> None:
    restrict(by_roles=["core"])(network)
    inventory.update_device(device=network.near, changes={"role": "access"}, **network.act)


def override_off(network: Network) -> None:
    services.set_override(
        rule=AlertRule.objects.get(key="unreachable"),
        level="device",
        target=str(network.near.id),
        changes={"enabled": False},
        **network.act,
    )


def rule_off(network: Network) -> None:
    rule = AlertRule.objects.get(key="unreachable")
    services.set_enabled(rule=rule, is_enabled=False, **network.act)


def revoke(network: Network) -> None:
    agents.revoke_agent(agent=network.agent, **network.act)


def forget_agent(network: Network) -> None:
    agents.delete_agent(agent=network.agent, **network.act)


#: What the operator does: the fault before it, the act, the reason of the end.
ENDS: dict[str, tuple[str, Callable[[Network], None], str]] = {
    "the router is scrapped": ("unreachable", remove("link", "near"), "removed"),
    "the port is deleted": ("port", remove("link", "port"), "removed"),
    "the link is given back": ("port", remove("link"), "out_of_scope"),
    "the router of the port is scrapped": ("port", remove("link", "near"), "removed"),
    "the peer is forgotten": ("peer", remove("peer"), "removed"),
    "the neighbor is forgotten": ("neighbor", remove("neighbor"), "removed"),
    "the service is deleted": ("sessions", remove("service"), "removed"),
    "the port is disabled": ("port", disable("port"), "disabled"),
    "the peer is disabled": ("peer", disable("peer"), "disabled"),
    "the rule is for other roles now": ("unreachable", restrict(by_roles=["edge"]), "out_of_scope"),
    "the rule is for tagged routers now": (
        "unreachable",
        restrict(by_tags=["paid"]),
        "out_of_scope",
    ),
    "the router has another role": ("unreachable", change_role, "out_of_scope"),
    "the router has moved": ("unreachable", move, "out_of_scope"),
    "an override disables it": ("unreachable", override_off, "rule_disabled"),
    "the rule is disabled": ("unreachable", rule_off, "rule_disabled"),
    "the agent is revoked": ("agent", revoke, "removed"),
    "the agent is deleted": ("agent", forget_agent, "removed"),
}


def break_down(network: Network, fault: str) -> None:
    """The fault, until its alert has fired."""
    rule, metric, bad, entity = FAULTS[fault]
    for seconds in range(0, 65, 5):
        if fault != "agent" or seconds == 0:
            network.simulation.add_sample(seconds, metric, *entity(network), bad)
        network.simulation.evaluate(seconds + 1)
    assert (rule, "firing") in network.simulation.alerts()


@pytest.mark.parametrize("case", ENDS)
def test_the_alert_ends_with_its_reason_and_stays_ended(acme, network, case):
    """Cases 07 and 09 of the faults, and their variants."""
    fault, act, reason = ENDS[case]
    break_down(network, fault)

    with acting_in(acme):
        act(network)
    network.simulation.evaluate(67)

    with acting_in(acme):
        alert = Alert.objects.get(rule__key=FAULTS[fault][0])
        last = AlertTransition.objects.filter(alert=alert).latest("at")
    assert (alert.state, alert.end_reason) == ("ok", reason)
    assert (last.from_state, last.to_state) == ("firing", "ok")
    for hours in (1, 2, 24):
        network.simulation.evaluate(hours * HOUR)
    assert network.simulation.alerts() == [(FAULTS[fault][0], "ok")]


@pytest.mark.parametrize("case", ENDS)
def test_nothing_fires_for_what_the_rule_does_not_apply_to(acme, network, case):
    fault, act, _ = ENDS[case]
    _, metric, bad, entity = FAULTS[fault]
    ref = entity(network)
    with acting_in(acme):
        act(network)
    for seconds in range(0, 65, 5):
        if fault != "agent" or seconds == 0:
            network.simulation.add_sample(seconds, metric, *ref, bad)
        network.simulation.evaluate(seconds + 1)

    assert network.simulation.alerts() == []


@pytest.mark.parametrize("fault", FAULTS)
def test_it_keeps_firing_while_nothing_of_the_kind_happens(network, fault):
    break_down(network, fault)
    for seconds in range(65, 300, 30):
        network.simulation.evaluate(seconds)

    assert network.simulation.alerts() == [(FAULTS[fault][0], "firing")]


def test_one_that_recovers_says_so(acme, network):
    break_down(network, "unreachable")
    for seconds in range(65, 100, 5):
        network.simulation.add_sample(seconds, "device.up", "device", network.near.id, 1.0)
        network.simulation.evaluate(seconds + 1)

    with acting_in(acme):
        assert Alert.objects.get().end_reason == "recovered"


def test_a_pending_one_leaves_nothing(acme, network):
    network.simulation.add_sample(0, "device.up", "device", network.near.id, 0.0)
    network.simulation.evaluate(1)
    assert network.simulation.alerts() == [("unreachable", "pending")]
    with acting_in(acme):
        remove("link", "near")(network)

    network.simulation.evaluate(3)

    assert network.simulation.alerts() == []
