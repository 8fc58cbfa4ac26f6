"""The examples of the documentation: verifiers run, and bodies match the schema."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from apps.delivery.choices import EventType
from apps.webhooks.rendering import Envelope, PayloadOptions, render_incident_event, render_ping
from tests.webhooks.samples import (
    EVENT,
    NOW,
    OTHER_SECRET,
    SECRET,
    TENANT,
    incident,
    signed_request,
)

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "webhooks"
SCHEMA = json.loads((EXAMPLES / "webhook-v1.schema.json").read_text())
VERIFIERS = {
    "python": [sys.executable, str(EXAMPLES / "verify.py")],
    "node": [shutil.which("node") or "", str(EXAMPLES / "verify.mjs")],
}


@pytest.fixture(params=sorted(VERIFIERS))
def verifier(request, tmp_path):
    command = VERIFIERS[request.param]
    if not command[0]:
        pytest.skip("node is not installed here")

    def run(
        headers: dict[str, str],
        body: bytes,
        secret: str = SECRET,
        now: float = NOW,
        applied: str = "",
    ) -> str:
        (tmp_path / "secret").write_text(secret + "\n")
        (tmp_path / "headers.json").write_text(json.dumps(headers))
        (tmp_path / "body").write_bytes(body)
        result = subprocess.run(
            [
                *command, "--secret-file", tmp_path / "secret", "--headers",
                tmp_path / "headers.json", "--body", tmp_path / "body", "--now", str(now),
                *(["--applied", applied] if applied else []),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == (0 if result.stdout.startswith("VERIFIED") else 1), (
            result.stderr
        )
        return result.stdout.strip()

    return run


class TestVerifiers:
    def test_accept_signed_requests(self, verifier):
        assert verifier(*signed_request(title="ünï ✓")) == f"VERIFIED: incident.opened {EVENT}"

    @pytest.mark.parametrize(
        ("order", "applied", "expected"),
        [
            ({"sequence": 5}, "0:4", "APPLY"),
            ({"sequence": 5}, "0:5", "DROP"),
            ({"sequence": 5}, "0:20", "DROP"),
            ({"sequence": 5, "epoch": 1}, "0:20", "APPLY"),
            ({"sequence": 20}, "1:5", "DROP"),
            ({"sequence": 20, "epoch": 0}, "1:5", "DROP"),
            ({"sequence": 6, "epoch": 1}, "1:5", "APPLY"),
        ],
    )
    def test_order_by_epoch_and_sequence(self, verifier, order, applied, expected):
        lines = verifier(*signed_request(**order), applied=applied).splitlines()

        assert lines[0].startswith("VERIFIED")
        assert lines[1].startswith(expected)

    def test_accept_either_value_during_a_rotation(self, verifier):
        assert verifier(*signed_request(secrets=[SECRET, OTHER_SECRET])).startswith("VERIFIED")

    @pytest.mark.parametrize(
        "change",
        [
            {"webhook-id": "x"},
            {"webhook-timestamp": str(NOW - 1)},
            {"webhook-signature": "v1,AAAA"},
            {"x-ispvm-signature": "sha256=00"},
        ],
    )
    def test_refuse_changed_headers(self, verifier, change):
        headers, body = signed_request()

        assert verifier({**headers, **change}, body).startswith("REFUSED")

    def test_refuse_a_changed_body_a_wrong_secret_and_an_old_request(self, verifier):
        headers, body = signed_request()

        assert verifier(headers, body.replace(b"412", b"413")).startswith("REFUSED")
        assert verifier(headers, body, secret=OTHER_SECRET).startswith("REFUSED")
        assert verifier(headers, body, now=NOW + 301).startswith("REFUSED")


class TestSchema:
    envelope = Envelope(EVENT, "incident.updated", datetime(2026, 7, 1, tzinfo=UTC), TENANT, "Acme")

    @pytest.mark.parametrize(
        "options",
        [PayloadOptions(), PayloadOptions(thin=True), PayloadOptions(True, True, True)],
        ids=["full", "thin", "masked"],
    )
    def test_holds_for_rendered_bodies(self, options):
        body = json.loads(render_incident_event(self.envelope, incident(), options))

        jsonschema.validate(body, SCHEMA)

    def test_holds_without_an_epoch(self):
        body = json.loads(render_incident_event(self.envelope, incident(), PayloadOptions()))
        assert body["incident"].pop("epoch") == 0

        jsonschema.validate(body, SCHEMA)

    def test_holds_for_a_ping(self):
        envelope = Envelope(EVENT, "webhook.ping", self.envelope.sent_at, TENANT, "Acme")

        body = json.loads(
            render_ping(envelope, endpoint_id=EVENT, endpoint_name="x", options=PayloadOptions())
        )

        jsonschema.validate(body, SCHEMA)

    @pytest.mark.parametrize(
        "change",
        [
            {"status": "ajar"},
            {"sequence": 0},
            {"epoch": -1},
            {"epoch": "1"},
            {"starts_at": "yesterday"},
            {"extra": 1},
        ],
    )
    def test_rejects_bodies_outside_the_contract(self, change):
        body = json.loads(render_incident_event(self.envelope, incident(), PayloadOptions()))
        body["incident"].update(change)

        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(body, SCHEMA)

    def test_names_every_event_type(self):
        assert set(SCHEMA["properties"]["event_type"]["enum"]) == set(EventType.values)

    def test_holds_for_every_example(self):
        for event in EventType:
            path = EXAMPLES / f"{event}.json"
            if path.exists():
                body = json.loads(path.read_text())
                assert body["event_type"] == event
                jsonschema.validate(body, SCHEMA)
