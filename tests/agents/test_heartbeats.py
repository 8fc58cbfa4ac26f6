import uuid
from datetime import timedelta

import pytest

from agent.protocol.ids import interface_id
from apps.agents import services
from apps.agents.selectors import agents_for_correlation
from apps.audit.models import Record
from apps.core.errors import NotVisible
from apps.inventory.models import Interface
from apps.tenancy import acting_in
from tests.agents.factories import ACTOR, AT, enroll, make_agent, sealing_key
from tests.inventory.factories import make_device

pytestmark = pytest.mark.django_db


class TestHeartbeat:
    def test_stores_the_reported_values(self, in_acme):
        agent, boot = make_agent(), uuid.uuid4()

        services.record_heartbeat(
            agent_id=agent.id,
            version="1.2",
            capabilities=["routeros_api", "udp_echo"],
            boot_id=boot,
            health={"buffer_depth": 3},
            at=AT,
        )

        agent.refresh_from_db()
        assert (agent.last_heartbeat_at, agent.version, agent.boot_id) == (AT, "1.2", boot)
        assert agent.capabilities == ["routeros_api", "udp_echo"]
        assert agent.health == {"buffer_depth": 3}
        assert not Record.objects.filter(action="agent.sealing_key_changed").exists()

    def test_a_new_sealing_key_is_audited_once(self, in_acme):
        agent = make_agent()
        _, public = sealing_key()

        for _ in range(2):
            services.record_heartbeat(agent_id=agent.id, sealing_public_key=public, at=AT)

        assert Record.objects.filter(action="agent.sealing_key_changed").count() == 1

    def test_an_invalid_key_does_not_replace_a_valid_one(self, in_acme):
        agent = make_agent()
        _, public = sealing_key()
        services.record_heartbeat(agent_id=agent.id, sealing_public_key=public, at=AT)

        services.record_heartbeat(agent_id=agent.id, sealing_public_key="junk", at=AT)

        agent.refresh_from_db()
        assert len(bytes(agent.sealing_public_key)) == 32

    def test_another_tenants_agent_is_not_visible(self, acme, globex):
        with acting_in(acme):
            agent = make_agent()

        with acting_in(globex), pytest.raises(NotVisible):
            services.record_heartbeat(agent_id=agent.id, at=AT)


class TestAgentsForCorrelation:
    def test_an_agent_is_alive_until_it_missed_three_heartbeats(self, in_acme):
        device = make_device()
        agent = make_agent(attached_device=device)
        enroll(agent)
        services.record_heartbeat(agent_id=agent.id, at=AT)

        (fresh,) = agents_for_correlation(AT + timedelta(seconds=35))
        (offline,) = agents_for_correlation(AT + timedelta(seconds=36))

        assert (fresh.id, fresh.attached_device_id, fresh.alive) == (agent.id, device.id, True)
        assert (offline.alive, offline.last_heartbeat_at) == (False, AT)

    def test_excludes_pending_and_revoked_agents(self, in_acme):
        make_agent("pending")
        gone = make_agent("gone")
        enroll(gone)
        services.revoke_agent(agent=gone, actor=ACTOR, at=AT)

        assert agents_for_correlation(AT) == []

    def test_an_agent_without_a_heartbeat_is_not_alive(self, in_acme):
        enroll(make_agent())

        assert [a.alive for a in agents_for_correlation(AT)] == [False]

    def test_a_deleted_attached_device_is_unknown(self, in_acme):
        device = make_device()
        enroll(make_agent(attached_device=device))
        device.delete()

        assert agents_for_correlation(AT)[0].attached_device_id is None


class TestApplyAgentDiscovery:
    def test_applies_only_the_agents_devices(self, in_acme):
        agent, mine, not_mine = make_agent(), make_device("a"), make_device("b")
        services.assign_agent(agent=agent, device_ids=[mine.id], actor=ACTOR, at=AT)
        patch = {
            "interfaces": [
                {
                    "id": str(interface_id(device.id, "e1")),
                    "device_id": str(device.id),
                    "name": "e1",
                    "type": "ether",
                    "disabled": False,
                }
                for device in (mine, not_mine)
            ]
        }

        outcome = services.apply_agent_discovery(agent_id=agent.id, patch=patch, at=AT)

        assert [r.code for r in outcome.rejected] == ["not_assigned"]
        assert Interface.objects.get().device_id == mine.id
        assert Record.objects.get(action="inventory.discovered").actor["kind"] == "agent"
