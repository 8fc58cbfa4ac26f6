"""An agent may report about entities that are assigned to it or that it probes; the rest is quarantined."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from agent.protocol import ids
from apps.agents import services as agents
from apps.agents.models import Agent, AgentDevice, FormerAssignment, QuarantinedEntity
from apps.audit.models import Record
from apps.core import clock
from apps.ingest import authorization
from apps.inventory import services as inventory
from apps.inventory.models import Interface, Link, ProbeTarget, Service, Site
from apps.telemetry import queries
from apps.telemetry.models import Event
from apps.tenancy import acting_in
from tests.ingest.client import ACTOR, AgentClient, enroll
from tests.inventory.factories import make_device

pytestmark = pytest.mark.django_db
LATER = timedelta(minutes=10)


@pytest.fixture(autouse=True)
def _nothing_cached():
    authorization.clear_cache()


@pytest.fixture
def other(acme) -> AgentClient:
    """The tenant's second agent, with a device of its own."""
    return enroll(acme, "pop-2")


def _interface(device, name: str) -> Interface:
    return Interface.objects.create(device=device, name=name)


def about(agent: AgentClient, entity_type: str, entity_id: UUID, name: str, **fields):
    return agent.metric(
        1, metric_name=name, entity_type=entity_type, entity_id=str(entity_id), **fields
    )


def assign(tenant, agent_id: UUID, *, at=None, **what) -> None:
    with acting_in(tenant):
        row = Agent.objects.get(pk=agent_id)
        agents.assign_agent(agent=row, actor=ACTOR, at=at or clock.now(), **what)


def codes(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [item["code"] for item in answer.json()["rejected"]]


def quarantined(tenant) -> list[QuarantinedEntity]:
    with acting_in(tenant):
        return list(QuarantinedEntity.objects.order_by("first_seen_at", "entity_id"))


class TestDeviceOfAnotherAgent:
    def test_is_quarantined_and_nothing_of_it_is_stored(self, acme, agent, other, stored):
        before = stored()
        foreign = agent.metric(99, entity_id=str(other.device_id))
        answer = agent.send(foreign, agent.metric(5))

        assert codes(answer) == ["not_assigned"]
        assert answer.json()["rejected"][0]["index"] == 0
        assert answer.json()["accepted"]["metrics"] == 1
        with acting_in(acme):
            known = queries.latest(metrics=["device.cpu_pct"])
        assert {key.entity_id for key in known} == {agent.device_id}
        assert stored()["Stream"] == before["Stream"] + 1

    def test_its_children_are_rejected_too(self, acme, agent, other):
        with acting_in(acme):
            device = Agent.objects.get(pk=other.agent_id).device_assignments.get().device
            port = _interface(device, "ether1")
            service = Service.objects.create(name="pppoe", kind="pppoe", device=device)
        answer = agent.send(
            about(agent, "interface", port.id, "interface.oper_up"),
            about(agent, "service", service.id, "pppoe.sessions.active"),
        )

        assert codes(answer) == ["not_assigned"] * 2

    def test_its_events_are_rejected_too(self, acme, agent, other):
        event = agent.event(entity_id=str(other.device_id))
        answer = agent.send(events=[event])

        assert codes(answer) == ["not_assigned"]
        with acting_in(acme):
            assert not Event.objects.filter(event_type="device.rebooted").exists()

    def test_its_discovered_entities_are_rejected_too(self, acme, agent, other):
        wire_id = ids.interface_id(other.device_id, "ether9")
        item = {"id": str(wire_id), "device_id": str(other.device_id), "name": "ether9"}
        answer = agent.send(inventory_patch={"interfaces": [item]})

        assert codes(answer) == ["not_assigned"]
        (row,) = quarantined(acme)
        assert (row.entity_id, row.names) == (other.device_id, ["inventory_patch"])

    def test_an_unknown_entity_is_not_quarantined(self, acme, agent):
        answer = agent.send(agent.metric(1, entity_id=str(uuid4())))

        assert codes(answer) == ["unknown_entity"]
        assert quarantined(acme) == []

    def test_of_another_tenant_is_unknown(self, agent, globex):
        other_tenant = enroll(globex)

        assert codes(agent.send(agent.metric(1, entity_id=str(other_tenant.device_id)))) == [
            "unknown_entity"
        ]


class TestAllowed:
    def test_children_of_its_devices(self, acme, agent):
        with acting_in(acme):
            device = AgentDevice.objects.get(agent_id=agent.agent_id).device
            port = _interface(device, "ether1")
        assert codes(agent.send(about(agent, "interface", port.id, "interface.oper_up"))) == []

    def test_devices_at_its_site_that_are_assigned_to_no_agent(self, acme, agent, other):
        with acting_in(acme):
            device = make_device("cr-site")
        assign(acme, agent.agent_id, site_ids=[device.site_id])
        metric = agent.metric(1, entity_id=str(device.id))
        assert codes(agent.send(metric, sequence=1)) == []

        assign(acme, other.agent_id, device_ids=[device.id])
        authorization.clear_cache()
        later = agent.metric(1, at=clock.now(), entity_id=str(device.id))
        with acting_in(acme):  # the assignment ended long ago
            FormerAssignment.objects.update(ended_at=clock.now() - LATER)
        assert codes(agent.send(later, sequence=2)) == ["not_assigned"]

    def test_both_of_two_agents_of_one_device(self, acme, agent, other):
        assign(acme, other.agent_id, device_ids=[other.device_id, agent.device_id])
        metric = other.metric(1, entity_id=str(agent.device_id))

        assert codes(agent.send(agent.metric(1))) == []
        assert codes(other.send(metric)) == []

    def test_only_reachability_of_a_device_that_it_only_probes(self, acme, agent, other):
        with acting_in(acme):
            target = ProbeTarget.objects.create(
                name="p",
                device_id=other.device_id,
                method="tcp",
                address="10.0.0.1",
                port=1,
            )
        assign(
            acme, agent.agent_id, device_ids=[agent.device_id], probe_device_ids=[other.device_id]
        )
        answer = agent.send(
            about(agent, "device", other.device_id, "device.up"),
            about(agent, "probe_target", target.id, "probe.ping.loss_pct"),
            about(agent, "device", other.device_id, "device.cpu_pct"),
            events=[
                agent.event(event_type="device.reachable.changed", entity_id=str(other.device_id))
            ],
        )

        assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [(2, "not_assigned")]
        # With a probing agent assigned, the polling agent may no longer report reachability.
        with acting_in(acme):
            FormerAssignment.objects.update(ended_at=clock.now() - LATER)
        assert codes(
            other.send(about(other, "probe_target", target.id, "probe.ping.loss_pct"))
        ) == ["not_assigned"]

    def test_probe_targets_without_a_device(self, acme, agent):
        with acting_in(acme):
            target = ProbeTarget.objects.create(
                name="dns", method="tcp", address="10.0.0.53", port=53
            )
        assert codes(agent.send(about(agent, "probe_target", target.id, "probe.tcp.up"))) == []

    def test_links_that_end_on_its_devices(self, acme, agent, other):
        with acting_in(acme):
            third = make_device("cr-third")
            own = Link.objects.create(
                name="own", a_device_id=other.device_id, z_device_id=agent.device_id
            )
            foreign = Link.objects.create(
                name="foreign", a_device_id=other.device_id, z_device=third
            )
        answer = agent.send(
            about(agent, "link", own.id, "link.health"),
            about(agent, "link", foreign.id, "link.health"),
        )

        assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [(1, "not_assigned")]

    def test_sites_that_are_assigned_to_it(self, acme, agent):
        with acting_in(acme):
            near = Site.objects.create(name="near", code="near")
            far = Site.objects.create(name="far", code="far")
        assign(acme, agent.agent_id, site_ids=[near.id])
        answer = agent.send(
            about(agent, "site", near.id, "site.up_pct"),
            about(agent, "site", far.id, "site.up_pct"),
        )

        assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [(1, "not_assigned")]

    def test_itself_except_derived_metrics(self, agent):
        answer = agent.send(
            about(agent, "agent", agent.agent_id, "agent.buffer.depth"),
            about(agent, "agent", agent.agent_id, "agent.quarantine.active"),
        )

        assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [
            (1, "derived_metric")
        ]


class TestMovedAssignment:
    def test_the_former_agent_may_deliver_earlier_samples(self, acme, agent, other):
        """An agent that was offline delivers its buffer after its device was assigned to another."""
        moved = clock.now()
        assign(acme, agent.agent_id, device_ids=[], at=moved)
        assign(acme, other.agent_id, device_ids=[agent.device_id], at=moved)
        authorization.clear_cache()
        answer = agent.send(
            agent.metric(1, at=moved - timedelta(hours=2)),
            agent.metric(1, at=moved - timedelta(seconds=1)),
        )

        assert codes(answer) == []
        assert quarantined(acme) == []

    def test_the_former_agent_may_not_deliver_later_samples(self, acme, agent):
        moved = clock.now() - timedelta(hours=1)
        assign(acme, agent.agent_id, device_ids=[], at=moved)
        authorization.clear_cache()
        inside = moved + authorization.TOLERANCE - timedelta(seconds=1)
        answer = agent.send(
            agent.metric(1, at=inside), agent.metric(1, at=inside + timedelta(seconds=2))
        )

        assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [(1, "not_assigned")]

    def test_takes_effect_at_once_for_the_new_agent(self, acme, agent, other):
        metric = agent.metric(1, entity_id=str(other.device_id))
        assert codes(agent.send(metric, sequence=1)) == ["not_assigned"]
        assign(acme, agent.agent_id, device_ids=[other.device_id])

        assert codes(agent.send(metric, sequence=2)) == []

    def test_takes_effect_at_once_for_a_prober_that_becomes_the_poller(
        self, acme, agent, other, django_capture_on_commit_callbacks
    ):
        probed = {"device_ids": [agent.device_id], "probe_device_ids": [other.device_id]}
        assign(acme, agent.agent_id, **probed)
        with django_capture_on_commit_callbacks(execute=True):
            up = about(agent, "device", other.device_id, "device.up")
            assert codes(agent.send(up, sequence=1)) == []
        assign(acme, agent.agent_id, device_ids=[other.device_id])

        load = agent.metric(1, entity_id=str(other.device_id))
        assert codes(agent.send(load, sequence=2)) == []

    def test_takes_effect_when_the_cache_has_expired(
        self, acme, agent, monkeypatch, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            assert codes(agent.send(agent.metric(1), sequence=1)) == []
        assign(acme, agent.agent_id, device_ids=[], at=clock.now() - LATER)

        assert codes(agent.send(agent.metric(1), sequence=2)) == [], "cached for a moment"
        monkeypatch.setattr(authorization, "CACHE_LIFETIME", timedelta(0))
        assert codes(agent.send(agent.metric(1), sequence=3)) == ["not_assigned"]

    def test_of_a_device_that_moved_to_another_site(self, acme, agent):
        with acting_in(acme):
            device = make_device("cr-site")
            elsewhere = Site.objects.create(name="else", code="else")
        assign(acme, agent.agent_id, site_ids=[device.site_id])
        moved = clock.now()
        with acting_in(acme):
            inventory.update_device(
                device=device, changes={"site": elsewhere}, actor=ACTOR, at=moved
            )
        authorization.clear_cache()
        before = agent.metric(1, at=moved - timedelta(hours=1), entity_id=str(device.id))

        assert codes(agent.send(before)) == []
        with acting_in(acme):
            (row,) = FormerAssignment.objects.filter(device=device, kind="poll")
        assert (row.agent_id, row.ended_at) == (agent.agent_id, moved)

    def test_assigned_again_is_unrestricted(self, acme, agent):
        long_ago = clock.now() - timedelta(hours=1)
        assign(acme, agent.agent_id, device_ids=[], at=long_ago)
        assign(acme, agent.agent_id, device_ids=[agent.device_id])

        assert codes(agent.send(agent.metric(1))) == []

    def test_is_stored_once_per_device(self, acme, agent):
        for minutes in (60, 30):
            at = clock.now() - timedelta(minutes=minutes)
            assign(acme, agent.agent_id, device_ids=[agent.device_id], at=at)
            assign(acme, agent.agent_id, device_ids=[], at=at)

        with acting_in(acme):
            ends = dict(FormerAssignment.objects.values_list("kind", "ended_at"))
        assert ends == {"poll": at, "probe": at}


class TestQuarantineRecord:
    def test_counts_and_keeps_a_few_samples(self, acme, agent, other):
        target = str(other.device_id)
        first = [agent.metric(n, entity_id=target) for n in range(7)]
        agent.send(*first, sequence=1, events=[agent.event(entity_id=target)])
        agent.send(agent.metric(1, entity_id=target, metric_name="device.temp_c"), sequence=2)

        (row,) = quarantined(acme)
        assert (row.agent_id, row.entity_type, row.entity_id) == (
            agent.agent_id,
            "device",
            other.device_id,
        )
        assert row.count == 9
        assert row.names == ["device.cpu_pct", "device.rebooted", "device.temp_c"]
        assert [sample["value"] for sample in row.samples] == [0, 1, 2, 3, 4]
        assert row.first_seen_at <= row.last_seen_at

    def test_does_not_count_a_batch_that_is_sent_again(self, acme, agent, other):
        body = agent.batch(metrics=[agent.metric(1, entity_id=str(other.device_id))])
        for _ in range(3):
            assert agent.post("batch", body).status_code == 200

        assert [row.count for row in quarantined(acme)] == [1]

    def test_is_bounded_per_agent(self, acme, agent, other, monkeypatch):
        monkeypatch.setattr(agents.quarantine, "MAX_ENTITIES", 2)
        with acting_in(acme):
            device = AgentDevice.objects.get(agent_id=other.agent_id).device
            ports = [_interface(device, f"ether{n}") for n in range(4)]
        agent.send(*[about(agent, "interface", p.id, "interface.oper_up") for p in ports])
        agent.send(
            *[about(agent, "interface", p.id, "interface.oper_up") for p in ports], sequence=2
        )

        assert [row.count for row in quarantined(acme)] == [2, 2]

    def test_starts_with_an_event_and_an_audit_record(self, acme, agent, other):
        for sequence in (1, 2):
            agent.send(agent.metric(1, entity_id=str(other.device_id)), sequence=sequence)

        with acting_in(acme):
            events = Event.objects.filter(event_type="agent.data.quarantined")
            assert [event.entity_id for event in events] == [agent.agent_id]
            assert Record.objects.filter(action="agent.data_quarantined").count() == 1

    def test_starts_once_even_when_its_entities_exceed_the_limit(
        self, acme, agent, other, monkeypatch
    ):
        monkeypatch.setattr(agents.quarantine, "MAX_ENTITIES", 1)
        with acting_in(acme):
            device = AgentDevice.objects.get(agent_id=other.agent_id).device
            ports = [_interface(device, f"ether{n}") for n in range(3)]
        agent.send(about(agent, "interface", ports[0].id, "interface.oper_up"), sequence=1)
        with acting_in(acme):
            QuarantinedEntity.objects.update(last_seen_at=clock.now() - timedelta(minutes=5))
        for number in (1, 2):
            agent.send(
                about(agent, "interface", ports[number].id, "interface.oper_up"),
                sequence=number + 1,
            )

        with acting_in(acme):
            assert agents.is_quarantining(agent.agent_id, clock.now())
            # The first batch, and the one after five minutes without rejections.
            assert Record.objects.filter(action="agent.data_quarantined").count() == 2
        assert [row.count for row in quarantined(acme)] == [1]

    def test_belongs_to_its_own_tenant(self, globex, agent, other):
        agent.send(agent.metric(1, entity_id=str(other.device_id)))

        assert quarantined(globex) == []

    def test_the_gauge_is_set_until_a_minute_without_rejections(self, acme, agent, other):
        agent.send(agent.metric(1, entity_id=str(other.device_id)))
        assert gauge(acme) == [1.0]
        beat = {"sent_at": clock.now().isoformat(), "boot_id": str(agent.boot_id)}
        agent.post("heartbeat", beat)
        assert gauge(acme) == [1.0]

        with acting_in(acme):
            QuarantinedEntity.objects.update(last_seen_at=clock.now() - timedelta(seconds=61))
        agent.post("heartbeat", beat)
        assert gauge(acme) == [0.0]


def gauge(tenant) -> list[float]:
    with acting_in(tenant):
        return [row.value for row in queries.latest(metrics=["agent.quarantine.active"]).values()]
