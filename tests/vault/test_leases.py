"""Opening secrets is audited once per lease, not once per poll or delivery."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from apps.agents import services as agents
from apps.audit.models import Record
from apps.tenancy import acting_in
from apps.vault import services
from apps.vault.choices import Purpose
from apps.vault.errors import SecretUnreadable
from apps.vault.models import SecretLease
from apps.webhooks.services import create_endpoint, stage_secret
from apps.webhooks.services.secrets import live_secrets
from tests.agents.factories import ACTOR, AT, enroll, make_agent, sealing_key
from tests.inventory.factories import make_device
from tests.vault.keys import store


def leased_purposes() -> list[str]:
    rows = Record.objects.filter(action="credentials.leased").order_by("sequence")
    return [row.detail["purpose"] for row in rows]


def take(terms: str, holder: str = "one"):
    return services.take_lease(
        purpose=Purpose.AGENT_CONFIG, holder=("agent", holder), terms=terms, actor=ACTOR, at=AT
    )


@pytest.mark.django_db
class TestLease:
    def test_every_lease_writes_one_record(self, in_acme):
        created_agents = []
        for number in range(3):
            agent = make_agent(f"agent {number}")
            enroll(agent, sealing_public_key=sealing_key()[1])
            device = make_device(f"cr{number}", credential_set=store(f"p{number}", f"s{number}"))
            agents.assign_agent(
                agent=agent, device_ids=[device.id], site_ids=[], actor=ACTOR, at=AT
            )
            created_agents.append(agent)
        for _ in range(5):  # polls
            for agent in created_agents:
                agents.build_config(agent_id=agent.id, at=AT)
        store("another", "s0")
        for _ in range(5):
            for agent in created_agents:
                agents.build_config(agent_id=agent.id, at=AT)
        endpoint, _ = create_endpoint(
            name="noc", url="https://receiver.example/", actor=ACTOR, at=AT
        )
        for _ in range(20):  # deliveries of one day, then of the next, then with a staged secret
            live_secrets(endpoint=endpoint, at=AT)
        live_secrets(endpoint=endpoint, at=AT + timedelta(days=1))
        stage_secret(endpoint=endpoint, actor=ACTOR, at=AT + timedelta(days=1))
        live_secrets(endpoint=endpoint, at=AT + timedelta(days=1))

        assert leased_purposes() == ["agent_config"] * 4 + ["webhook_signing"] * 3
        assert SecretLease.objects.count() == 4, "three agents, one endpoint"

    def test_the_same_terms_again_are_the_same_lease(self, in_acme):
        for terms in ("a", "a", "b", "b", "a"):
            take(terms)

        assert len(leased_purposes()) == 3

    def test_it_opens_in_its_own_tenant_only(self, acme, globex):
        with acting_in(acme):
            lease = take("a")
        with acting_in(globex):
            row = store("globex's")
            with pytest.raises(SecretUnreadable, match="another tenant"):
                services.open_credential_set(credential_set=row, lease=lease)

    def test_opens_nothing_when_the_audit_log_fails(self, in_acme, monkeypatch):
        from apps.vault.services import leases

        def fails(**_):
            raise RuntimeError("the audit log is unavailable")

        monkeypatch.setattr(leases, "record", fails)

        with pytest.raises(RuntimeError):
            take("a")


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_write_one_record(acme):
    def work() -> None:
        with acting_in(acme):
            take("a")
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with acting_in(acme):
        assert len(leased_purposes()) == 1
