import uuid
from datetime import timedelta

import pytest
from rest_framework.test import APIClient

from apps.alerts import services
from apps.alerts.models import Alert, AlertRule, AlertTransition
from apps.core import clock
from apps.core.messages import Message
from apps.tenancy import acting_in
from tests.clients import bearer, faulty_fields, listed, queries
from tests.inventory.factories import ACTOR, make_device

pytestmark = pytest.mark.django_db

BASE = "/api/v1/alerts/"
OBSERVATION = {
    "value": "0",
    "ts": "2026-03-01T12:00:00+00:00",
    "threshold": 1.0,
    "for_seconds": 10,
    "override": "role core",
    "metric": "device.up",
}
SUMMARY = Message("alerts.summary.unreachable", {"entity": "cr1"})


@pytest.fixture
def reader(acme, acme_readonly) -> APIClient:
    return bearer(acme, acme_readonly)


@pytest.fixture
def rules(acme) -> dict[str, AlertRule]:
    with acting_in(acme):
        return {
            row.key: row for row in services.install_pack(pack="first", actor=ACTOR, at=clock.now())
        }


def make_alert(rule, entity_id, *, minutes: int = 0, **fields) -> Alert:
    since = clock.now() - timedelta(minutes=minutes)
    return Alert.objects.create(
        **{
            "rule": rule,
            "entity_type": "device",
            "entity_id": entity_id,
            "state": "firing",
            "severity": "critical",
            "since": since,
            "fired_at": since + timedelta(seconds=10),
            "summary": "cr1 does not respond to probes",
            "summary_message": SUMMARY,
            "observation": OBSERVATION,
            **fields,
        }
    )


@pytest.fixture
def alert(acme, rules) -> Alert:
    """An alert on cr1 with two transitions."""
    with acting_in(acme):
        created = make_alert(rules["unreachable"], make_device("cr1").id, minutes=9)
        for minutes, transitions in ((8, ("pending", "firing")), (3, ("firing", "recovering"))):
            AlertTransition.objects.create(
                alert=created,
                at=clock.now() - timedelta(minutes=minutes),
                from_state=transitions[0],
                to_state=transitions[1],
                observation={**OBSERVATION, "value": str(minutes)},
            )
    return created


class TestReading:
    def test_an_alert_has_its_rule_its_entity_and_its_observation(self, reader, alert, rules):
        one = reader.get(f"{BASE}{alert.id}/").json()

        assert one["rule_key"] == "unreachable"
        assert one["rule"] == str(rules["unreachable"].id)
        assert one["entity"] == {"type": "device", "id": str(alert.entity_id), "label": "cr1"}
        assert one["observation"] == {"code": "", "params": {}, **OBSERVATION}
        assert listed(reader, BASE) == [one]

    def test_a_deleted_entity_has_no_label(self, acme, reader, rules):
        with acting_in(acme):
            make_alert(rules["unreachable"], uuid.uuid4())

        assert listed(reader, BASE)[0]["entity"]["label"] == ""

    def test_the_latest_comes_first(self, acme, reader, rules):
        with acting_in(acme):
            created = [make_alert(rules["cpu_high"], uuid.uuid4(), minutes=n) for n in (5, 1, 3)]

        rows = listed(reader, BASE)

        assert [row["id"] for row in rows] == [str(created[n].id) for n in (1, 2, 0)]

    def test_pages_are_complete_with_equal_times(self, acme, reader, rules):
        at = clock.now()
        with acting_in(acme):
            created = {
                str(make_alert(rules["cpu_high"], uuid.uuid4(), since=at).id) for _ in range(5)
            }

        ids, path = [], f"{BASE}?page_size=2"
        while path:
            page = reader.get(path).json()
            ids += [row["id"] for row in page["results"]]
            path = page["next"]

        assert (len(ids), set(ids)) == (5, created)

    def test_history_has_every_transition_with_its_observation(self, reader, alert):
        transitions = listed(reader, f"{BASE}{alert.id}/history/")

        assert [(row["from_state"], row["to_state"]) for row in transitions] == [
            ("pending", "firing"),
            ("firing", "recovering"),
        ]
        assert [row["observation"]["value"] for row in transitions] == ["8", "3"]
        assert transitions[0]["observation"]["override"] == "role core"


class TestFilters:
    @pytest.fixture
    def mixed_alerts(self, acme, rules, alert):
        with acting_in(acme):
            make_alert(rules["cpu_high"], alert.entity_id, severity="warn", state="pending")
            make_alert(
                rules["ospf_not_full"], uuid.uuid4(), entity_type="ospf_neighbor", state="ok"
            )
        return {"alert": alert, "rules": rules}

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("", {"unreachable", "cpu_high", "ospf_not_full"}),
            ("state=firing", {"unreachable"}),
            ("state=ok", {"ospf_not_full"}),
            ("severity=warn", {"cpu_high"}),
            ("entity_type=device", {"unreachable", "cpu_high"}),
            ("entity_type=device&state=pending", {"cpu_high"}),
            ("entity_id={device}", {"unreachable", "cpu_high"}),
            ("rule=unreachable", {"unreachable"}),
            ("rule={rule}", {"cpu_high"}),
            ("rule=nothing", set()),
        ],
    )
    def test_narrow_the_list(self, reader, mixed_alerts, query, expected):
        ids = {
            "device": mixed_alerts["alert"].entity_id,
            "rule": mixed_alerts["rules"]["cpu_high"].id,
        }

        rows = listed(reader, f"{BASE}?{query.format(**ids)}")

        assert {row["rule_key"] for row in rows} == expected

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("state=up", "state"),
            ("severity=fatal", "severity"),
            ("entity_type=moon", "entity_type"),
            ("entity_id=x", "entity_id"),
            ("rule=%00", "rule"),
        ],
    )
    def test_invalid_ones_are_rejected(self, reader, query, field):
        assert faulty_fields(reader.get(f"{BASE}?{query}")) == {field}

    @pytest.mark.parametrize("position", ["never", "%00", "2026-13-45"])
    def test_an_invalid_cursor_is_rejected(self, reader, alert, position):
        from base64 import b64encode

        cursor = b64encode(f"p={position}".encode()).decode()

        assert reader.get(f"{BASE}?cursor={cursor}").status_code in {400, 404}


class TestCost:
    def test_is_the_same_for_one_row_and_for_twenty(self, acme, reader, rules):
        with acting_in(acme):
            first = make_device("r0")
            make_alert(rules["unreachable"], first.id)
        few = queries(lambda: listed(reader, BASE))
        with acting_in(acme):
            for number in range(1, 20):
                device = make_device(f"r{number}", management_address=f"127.20.1.{number}")
                make_alert(rules["unreachable"], device.id)

        assert queries(lambda: listed(reader, BASE)) == few
        assert {row["entity"]["label"] for row in listed(reader, BASE)} == {
            f"r{n}" for n in range(20)
        }

    def test_of_a_history_is_the_same_for_two_transitions_and_for_twenty(self, acme, reader, alert):
        path = f"{BASE}{alert.id}/history/"
        few = queries(lambda: listed(reader, path))
        with acting_in(acme):
            for _ in range(18):
                AlertTransition.objects.create(
                    alert=alert,
                    at=clock.now(),
                    from_state="firing",
                    to_state="ok",
                    observation=OBSERVATION,
                )

        assert queries(lambda: listed(reader, path)) == few
        assert len(listed(reader, path)) == 20


class TestPermissions:
    @pytest.mark.parametrize("path", ["", "{alert}/", "{alert}/history/"])
    @pytest.mark.parametrize("role", ["acme_readonly", "acme_auditor", "acme_noc", "acme_admin"])
    def test_every_member_reads(self, acme, alert, request, role, path):
        client = bearer(acme, request.getfixturevalue(role))

        assert client.get(BASE + path.format(alert=alert.id)).status_code == 200

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_alerts_are_read_only(self, acme, acme_admin, alert, method):
        client = bearer(acme, acme_admin)

        assert getattr(client, method)(f"{BASE}{alert.id}/", {}).status_code in {403, 405}

    @pytest.mark.parametrize("path", ["{alert}/", "{alert}/history/"])
    def test_other_tenants_rows_are_not_found(self, globex, globex_admin, alert, path):
        client = bearer(globex, globex_admin)

        responses = [client.get(BASE + path.format(alert=i)) for i in (alert.id, uuid.uuid4(), "x")]

        assert {response.status_code for response in responses} == {404}
        assert len({response.content for response in responses}) == 1

    def test_lists_are_empty_for_other_tenants(self, globex, globex_admin, alert):
        assert listed(bearer(globex, globex_admin), BASE) == []

    def test_anonymous_requests_are_401(self, db):
        assert APIClient().get(BASE).status_code == 401
