import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from apps.webhooks.rendering import (
    Envelope,
    SnapshotIncomplete,
    View,
    render_incident_event,
    render_ping,
)
from tests.webhooks.samples import EVENT, TENANT, incident

ENVELOPE = Envelope(
    EVENT, "incident.opened", datetime(2026, 7, 1, 10, 0, 5, tzinfo=UTC), TENANT, "Acme Net"
)


def rendered(view: View | None = None, **parts):
    return json.loads(render_incident_event(ENVELOPE, incident(**parts), view or View()))


def test_carries_the_contracts_fields_and_no_others():
    event = rendered()

    assert event.keys() == {"event_id", "event_type", "sent_at", "tenant", "incident"}
    assert event["event_id"] == EVENT
    assert event["sent_at"] == "2026-07-01T10:00:05Z"
    assert event["tenant"] == {"id": TENANT, "name": "Acme Net"}
    assert event["incident"].keys() == {
        "id", "epoch", "sequence", "title", "status", "severity", "starts_at", "ends_at", "url", "ack",
        "root_causes", "impact", "evidence_top", "labels",
    }  # fmt: skip
    assert event["incident"]["root_causes"][0].keys() == {
        "entity_type", "entity_id", "name", "confidence", "classification",
    }  # fmt: skip
    assert event["incident"]["evidence_top"] == [f"evidence {n}" for n in range(5)]


def test_the_same_snapshot_gives_the_same_bytes_whatever_its_order():
    snapshot = incident()
    turned = dict(reversed(snapshot.items()))

    first = render_incident_event(ENVELOPE, snapshot, View())
    assert render_incident_event(ENVELOPE, turned, View()) == first
    assert b" :" not in first
    assert b'"estimated_subscribers_affected":412' in first


def test_text_stays_as_people_wrote_it():
    body = render_incident_event(ENVELOPE, incident(title="Süd ✓ <b>\u202e"), View())

    assert "Süd ✓ <b>\u202e".encode() in body


def test_time_is_utc():
    east = timezone(timedelta(hours=5, minutes=30))
    envelope = Envelope(
        EVENT, "x", datetime(2026, 7, 1, 15, 30, 5, 120000, tzinfo=east), TENANT, ""
    )

    body = json.loads(render_incident_event(envelope, incident(), View()))

    assert body["sent_at"] == "2026-07-01T10:00:05.120000Z"


def test_masks_take_away_names_people_and_evidence():
    event = rendered(View(hides_tenant_name=True, hides_people=True, hides_evidence=True))

    assert event["tenant"] == {"id": TENANT}
    assert event["incident"]["ack"] == {"acked_by": None, "acked_at": "2026-07-01T10:01:00Z"}
    assert event["incident"]["evidence_top"] == []


def test_thin_mode_sends_ids_only():
    event = rendered(View(thin=True))

    assert event["tenant"] == {"id": TENANT}
    assert event["incident"].keys() == {"id", "epoch", "sequence", "url"}


@pytest.mark.parametrize("gone", ["ack", "root_causes", "impact", "evidence_top", "labels", "url"])
def test_what_is_optional_may_be_missing(gone):
    rendered(**{gone: None})


@pytest.mark.parametrize("gone", ["id", "sequence", "title", "status", "severity", "starts_at"])
def test_what_is_promised_must_be_there(gone):
    with pytest.raises(SnapshotIncomplete, match=gone):
        rendered(**{gone: None})


def test_numbers_that_json_does_not_know_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        rendered(impact={"sites_affected": float("nan")})


def test_a_ping_names_its_endpoint():
    body = render_ping(ENVELOPE, endpoint_id="e1", endpoint_name="pager", view=View())

    assert json.loads(body)["endpoint"] == {"id": "e1", "name": "pager"}
