import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from apps.webhooks.rendering import (
    Envelope,
    PayloadOptions,
    SnapshotIncomplete,
    render_incident_event,
    render_ping,
)
from tests.webhooks.samples import EVENT, TENANT, incident

ENVELOPE = Envelope(
    EVENT, "incident.opened", datetime(2026, 7, 1, 10, 0, 5, tzinfo=UTC), TENANT, "Acme Net"
)


def rendered(options: PayloadOptions | None = None, **parts):
    return json.loads(
        render_incident_event(ENVELOPE, incident(**parts), options or PayloadOptions())
    )


def test_contains_the_fields_of_the_contract_and_no_others():
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
    reversed_snapshot = dict(reversed(snapshot.items()))

    first = render_incident_event(ENVELOPE, snapshot, PayloadOptions())
    assert render_incident_event(ENVELOPE, reversed_snapshot, PayloadOptions()) == first
    assert b" :" not in first
    assert b'"estimated_subscribers_affected":412' in first


def test_text_is_not_changed():
    body = render_incident_event(ENVELOPE, incident(title="Süd ✓ <b>\u202e"), PayloadOptions())

    assert "Süd ✓ <b>\u202e".encode() in body


def test_time_is_utc():
    east = timezone(timedelta(hours=5, minutes=30))
    envelope = Envelope(
        EVENT, "x", datetime(2026, 7, 1, 15, 30, 5, 120000, tzinfo=east), TENANT, ""
    )

    body = json.loads(render_incident_event(envelope, incident(), PayloadOptions()))

    assert body["sent_at"] == "2026-07-01T10:00:05.120000Z"


def test_privacy_options_remove_names_people_and_evidence():
    event = rendered(PayloadOptions(hides_tenant_name=True, hides_people=True, hides_evidence=True))

    assert event["tenant"] == {"id": TENANT}
    assert event["incident"]["ack"] == {"acked_by": None, "acked_at": "2026-07-01T10:01:00Z"}
    assert event["incident"]["evidence_top"] == []


def test_thin_mode_sends_ids_only():
    event = rendered(PayloadOptions(thin=True))

    assert event["tenant"] == {"id": TENANT}
    assert event["incident"].keys() == {"id", "epoch", "sequence", "url"}


@pytest.mark.parametrize(
    "missing_field", ["ack", "root_causes", "impact", "evidence_top", "labels", "url"]
)
def test_optional_fields_may_be_missing(missing_field):
    rendered(**{missing_field: None})


@pytest.mark.parametrize(
    "missing_field", ["id", "sequence", "title", "status", "severity", "starts_at"]
)
def test_required_fields_must_be_present(missing_field):
    with pytest.raises(SnapshotIncomplete, match=missing_field):
        rendered(**{missing_field: None})


def test_numbers_outside_json_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        rendered(impact={"sites_affected": float("nan")})


def test_a_ping_names_its_endpoint():
    body = render_ping(ENVELOPE, endpoint_id="e1", endpoint_name="pager", options=PayloadOptions())

    assert json.loads(body)["endpoint"] == {"id": "e1", "name": "pager"}


def test_carries_texts_as_code_and_parameters_where_the_snapshot_has_them():
    message = {"code": "incidents.title.down", "params": {"causes": "cr1 ether1", "n": 1}}
    parts = {"title_message": message, "evidence_messages": [message] * 9}

    full = rendered(**parts)["incident"]
    assert (full["title_message"], full["evidence_messages"]) == (message, [message] * 5)
    assert (
        "evidence_messages"
        not in rendered(PayloadOptions(hides_evidence=True), **parts)["incident"]
    )
    thin = rendered(PayloadOptions(thin=True), **parts)["incident"]
    assert "title_message" not in thin
