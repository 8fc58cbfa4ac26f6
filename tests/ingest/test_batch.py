import json
import threading
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection

from agent.protocol import ids
from apps.agents.models import Agent
from apps.audit.models import Record
from apps.core import clock
from apps.ingest.models import Stream
from apps.ingest.services import accept
from apps.telemetry import queries
from apps.telemetry.models import Event
from apps.tenancy import acting_in
from tests.ingest.client import enroll, gzipped

pytestmark = pytest.mark.django_db


def values(tenant) -> list[float]:
    with acting_in(tenant):
        at = clock.now()
        result = queries.windows(
            metrics=["device.cpu_pct"], since=at - timedelta(days=8), until=at + timedelta(hours=1)
        )
    return [value for points in result.values() for _, value in points]


class TestAccepting:
    def test_valid_items_are_stored_and_counted(self, acme, agent):
        answer = agent.send(agent.metric(10), agent.metric(20), events=[agent.event()])

        assert answer.status_code == 200
        assert answer.json()["accepted"] == {"metrics": 2, "events": 1}
        assert (answer["X-ISPVM-Accepted-Metrics"], answer["X-ISPVM-Accepted-Events"]) == ("2", "1")
        assert values(acme) == [10, 20]

    def test_gzip_is_accepted(self, acme, agent):
        body = gzipped(agent.batch(metrics=[agent.metric(10)]))

        assert agent.post("batch", body, headers={"Content-Encoding": "gzip"}).status_code == 200
        assert values(acme) == [10]

    def test_a_discovered_entity_and_its_samples_come_in_one_batch(self, acme, agent):
        interface = ids.interface_id(agent.device_id, "ether1")
        patch = {
            "interfaces": [
                {
                    "id": str(interface),
                    "device_id": str(agent.device_id),
                    "name": "ether1",
                    "type": "ether",
                    "disabled": False,
                }
            ]
        }
        sample = agent.metric(
            1, metric_name="interface.oper_up", entity_type="interface", entity_id=str(interface)
        )

        answer = agent.send(sample, inventory_patch=patch)

        assert answer.json() | {"batch_id": ""} == {
            "batch_id": "",
            "accepted": {"metrics": 1, "events": 0},
            "rejected": [],
            "duplicate": False,
            "clock_skew_seconds": 0.0,
        }


class TestRejectingItems:
    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"metric_name": "device.mood"}, "unknown_metric"),
            ({"entity_id": str(uuid4())}, "unknown_entity"),
            ({"entity_type": "interface"}, "wrong_entity_type"),
            ({"value_num": None, "value_text": "high"}, "wrong_value_type"),
            ({"value_text": "high"}, "wrong_value_type"),
            ({"value_num": None}, "wrong_value_type"),
            ({"value_num": 101}, "out_of_bounds"),
            ({"value_num": -1}, "out_of_bounds"),
            ({"ts": (clock.now() + timedelta(hours=1)).isoformat()}, "ts_in_future"),
            ({"ts": (clock.now() - timedelta(days=8)).isoformat()}, "ts_too_old"),
            ({"ts": "9999-12-31T23:59:59Z"}, "ts_in_future"),
            ({"ts": "0001-01-01T00:00:00Z"}, "ts_too_old"),
            ({"labels": {"a": "b" * 2000}}, "labels_too_large"),
            ({"labels": {"a": "nul\0"}}, "bad_text"),
            ({"metric_name": "bgp.peer.state", "entity_type": "bgp_peer"}, "wrong_value_type"),
            # The id of a device: as one of a port, it would be stored as a state of no port.
            (
                {"metric_name": "interface.oper_up", "entity_type": "interface", "value_num": 1},
                "wrong_entity_type",
            ),
        ],
    )
    def test_an_invalid_sample_is_rejected_and_the_others_are_stored(
        self, acme, agent, fields, code
    ):
        answer = agent.send(agent.metric(10), {**agent.metric(20), **fields}, agent.metric(30))

        assert answer.status_code == 200
        assert answer.json()["accepted"]["metrics"] == 2
        assert [(r["kind"], r["index"], r["code"]) for r in answer.json()["rejected"]] == [
            ("metric", 1, code)
        ]
        assert values(acme) == [10, 30]

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"event_type": "device.sneezed"}, "unknown_event"),
            ({"entity_id": str(uuid4())}, "unknown_entity"),
            ({"entity_type": "interface"}, "wrong_entity_type"),
            ({"payload": {"a": "x" * 20_000}}, "payload_too_large"),
            ({"payload": {"a": ["nul\0"]}}, "bad_text"),
            ({"raw": "nul\0"}, "bad_text"),
            ({"ts": (clock.now() - timedelta(days=8)).isoformat()}, "ts_too_old"),
        ],
    )
    def test_an_invalid_event_is_rejected_and_the_others_are_stored(
        self, acme, agent, fields, code
    ):
        answer = agent.send(events=[agent.event(), {**agent.event(), **fields}])

        assert answer.json()["accepted"]["events"] == 1
        assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [(1, code)]

    def test_an_event_sent_again_in_another_batch_is_a_duplicate(self, acme, agent):
        event = agent.event()
        agent.send(events=[event])

        answer = agent.send(events=[event], sequence=2)

        assert [r["code"] for r in answer.json()["rejected"]] == ["duplicate_event"]
        with acting_in(acme):
            assert Event.objects.count() == 1

    def test_a_ports_sample_for_a_metric_of_devices_is_rejected(self, acme, agent):
        interface = ids.interface_id(agent.device_id, "ether1")
        discovered = {
            "id": str(interface),
            "device_id": str(agent.device_id),
            "name": "ether1",
            "type": "ether",
            "disabled": False,
        }
        of_a_port = {"entity_type": "interface", "entity_id": str(interface)}

        answer = agent.send(
            agent.metric(10),
            agent.metric(20, **of_a_port),
            inventory_patch={"interfaces": [discovered]},
        )

        assert [r["code"] for r in answer.json()["rejected"]] == ["wrong_entity_type"]
        assert values(acme) == [10]

    def test_another_tenants_device_is_unknown(self, agent, globex):
        foreign = enroll(globex)

        answer = agent.send(agent.metric(10, entity_id=str(foreign.device_id)))

        assert [r["code"] for r in answer.json()["rejected"]] == ["unknown_entity"]


class TestIdempotency:
    def test_a_retry_changes_nothing_and_is_reported_as_duplicate(self, acme, agent):
        batch = agent.batch(metrics=[agent.metric(10)])
        agent.post("batch", batch)

        again = agent.post("batch", batch)

        assert (again.status_code, again.json()["duplicate"]) == (200, True)
        assert values(acme) == [10]

    def test_other_content_under_a_used_id_is_409_and_audited(self, acme, agent):
        batch = agent.batch(metrics=[agent.metric(10)])
        agent.post("batch", batch)

        answer = agent.post("batch", {**batch, "metrics": [agent.metric(99)]})

        assert (answer.status_code, answer.json()["code"]) == (409, "batch_changed")
        assert values(acme) == [10]
        with acting_in(acme):
            assert Record.objects.filter(action="ingest.batch_changed").count() == 1

    def test_another_batch_under_a_used_sequence_is_409(self, agent):
        agent.send(agent.metric(10))

        assert agent.send(agent.metric(11)).status_code == 409

    def test_batches_may_come_out_of_order(self, acme, agent):
        for sequence in (3, 1, 2):
            assert agent.send(agent.metric(sequence), sequence=sequence).status_code == 200

        with acting_in(acme):
            stream = Stream.objects.get()
        assert (stream.high, stream.ahead) == (3, [])

    def test_a_tombstone_moves_the_watermark_and_counts_the_loss(self, acme, agent):
        agent.send(agent.metric(1), sequence=1)
        agent.send(agent.metric(2), sequence=50, dropped={"from": 2, "to": 49, "samples": 480})

        with acting_in(acme):
            stream = Stream.objects.get()
        assert (stream.high, stream.ahead, stream.samples_dropped) == (50, [], 480)

    def test_a_gap_as_after_a_restore_is_skipped_and_counted(self, acme, agent):
        answer = agent.send(agent.metric(1), sequence=5000)

        assert answer.json()["accepted"]["metrics"] == 1
        with acting_in(acme):
            stream = Stream.objects.get()
        assert (stream.high, stream.sequences_skipped) == (5000 - 1024, 5000 - 1024)

    @pytest.mark.parametrize(
        "fields",
        [
            {"sequence": 2**62},
            {"dropped": {"from": 1, "to": 2**62, "samples": 1}},
            {"dropped": {"from": 2**62, "to": 2**63 - 1, "samples": 1}},
        ],
    )
    def test_a_sequence_too_far_ahead_is_rejected(self, agent, stored, fields):
        answer = agent.post("batch", agent.batch(metrics=[agent.metric(1)]) | fields)

        assert (answer.status_code, answer.json()["code"]) == (400, "sequence_too_far")
        assert sum(stored().values()) == 0

    def test_the_loss_counter_saturates(self, acme, agent):
        for sequence in (10, 20):
            tombstone = {"from": sequence - 5, "to": sequence - 1, "samples": 2**63 - 1}
            assert agent.send(sequence=sequence, dropped=tombstone).status_code == 200

        with acting_in(acme):
            assert Stream.objects.get().samples_dropped == 2**63 - 1

    def test_a_failure_before_commit_stores_nothing_and_the_retry_stores_all(
        self, acme, agent, stored, monkeypatch
    ):
        batch = agent.batch(metrics=[agent.metric(10)], events=[agent.event()])
        broken = monkeypatch.context()
        with broken as patch:
            patch.setattr(accept, "_save_watermark", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                agent.post("batch", batch)
        assert sum(stored().values()) == 0

        assert agent.post("batch", batch).json()["duplicate"] is False
        assert values(acme) == [10]

    @pytest.mark.django_db(transaction=True)
    def test_two_workers_with_one_batch_store_it_once(self, acme, agent):
        batch = agent.batch(metrics=[agent.metric(10)], events=[agent.event()])
        answers = []

        def send() -> None:
            while (answer := agent.post("batch", batch)).status_code == 429:
                time.sleep(0.05)  # two at a time, says the fairness between agents
            answers.append(answer.json())
            connection.close()

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(a["duplicate"] for a in answers) == [False, True, True, True]
        assert values(acme) == [10]


class TestIdentity:
    def test_no_certificate_is_401(self, agent, stored):
        agent.der = None

        answer = agent.send(agent.metric())

        assert (answer.status_code, answer.json()["code"]) == (401, "certificate_missing")
        assert sum(stored().values()) == 0

    @pytest.mark.parametrize(
        "header",
        ["X-SSL-Client-Cert", "X-Client-Cert", "SSL-Client-Verify", "X-Forwarded-Client-Cert"],
    )
    def test_no_header_gives_an_identity(self, agent, header):
        agent.der, pem = None, json.dumps("certificate")

        answer = agent.post("batch", agent.batch(), headers={header: pem})

        assert answer.status_code == 401

    def test_another_agents_id_in_the_body_is_403_and_audited(self, acme, agent, stored):
        batch = agent.batch(metrics=[agent.metric()])
        batch["agent"]["id"] = str(uuid4())

        answer = agent.post("batch", batch)

        assert (answer.status_code, answer.json()["code"]) == (403, "identity_mismatch")
        assert sum(stored().values()) == 0
        with acting_in(acme):
            assert Record.objects.filter(action="ingest.identity_mismatch").count() == 1

    def test_another_tenants_id_in_the_body_is_403(self, agent, globex):
        assert agent.post("batch", agent.batch(tenant_id=str(globex.id))).status_code == 403


class TestHeartbeat:
    def test_records_the_heartbeat_and_returns_the_server_time(self, acme, agent):
        beat = {
            "sent_at": clock.now().isoformat(),
            "boot_id": str(agent.boot_id),
            "version": "1.0",
            "buffer_depth": 3,
        }

        answer = agent.post("heartbeat", beat)

        assert answer.status_code == 200
        assert answer.json()["config_version"]
        with acting_in(acme):
            assert Agent.objects.get().last_heartbeat_at is not None
            latest = queries.latest(metrics=["agent.up", "agent.buffer.depth"])
        assert sorted(v.value for v in latest.values()) == [1.0, 3.0]

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"sent_at": 5, "boot_id": "x"}'])
    def test_a_malformed_one_is_400(self, agent, body):
        assert agent.post("heartbeat", body).status_code == 400


class TestConfig:
    def test_is_complete_once_and_304_while_unchanged(self, agent):
        first = agent.get("config")

        assert [d["id"] for d in first.json()["devices"]] == [str(agent.device_id)]
        again = agent.get("config", headers={"If-None-Match": first["ETag"]})
        assert (again.status_code, again.content) == (304, b"")


class TestWaiting:
    """The time that a batch was buffered is in a header, so that the body stays the same."""

    def is_late(self, tenant) -> list[bool]:
        with acting_in(tenant):
            return [row.is_late for row in queries.latest(metrics=["device.cpu_pct"]).values()]

    @pytest.mark.parametrize(
        ("buffered_for", "is_late"),
        [
            (None, False),
            ("0.0", False),
            ("19.5", False),
            ("21", True),
            ("9e300", True),
            ("-50", False),
            ("nan", False),
            ("inf", False),
            ("soon", False),
            ("", False),
        ],
    )
    def test_a_long_buffered_batch_is_late_and_an_invalid_header_counts_as_zero(
        self, acme, agent, buffered_for, is_late
    ):
        seconds = 366 * 86_400 if buffered_for == "9e300" else 21 if is_late else 0
        sent_at = clock.now() - timedelta(seconds=seconds)
        body = json.dumps(agent.batch(metrics=[agent.metric(10)], sent_at=sent_at.isoformat()))
        headers = {} if buffered_for is None else {"X-ISPVM-Waited": buffered_for}

        assert agent.post("batch", body.encode(), headers=headers).status_code == 200
        assert self.is_late(acme) == [is_late]

    def test_the_next_sample_that_was_not_buffered_is_not_late(self, acme, agent):
        first, second = (agent.batch(n, metrics=[agent.metric(n)]) for n in (1, 2))
        first["sent_at"] = (clock.now() - timedelta(seconds=300)).isoformat()
        agent.post("batch", first, headers={"X-ISPVM-Waited": "300"})
        agent.post("batch", second)

        assert self.is_late(acme) == [False]
        assert values(acme) == [1, 2]
