"""Message texts of incidents: every code renders in every language, and verdicts do not depend on the language."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation import override

from apps.core import messages
from apps.core.messages import FSI, PDI, Message
from apps.incidents.messages import CATALOG
from apps.incidents.models import Incident, IncidentAlert, Revision, TimelineEntry
from apps.incidents.rca.snapshot import Snapshot
from apps.incidents.rca.verdict import reach_verdict
from apps.incidents.services import add_note, close_incident, replay_revision
from apps.tenancy import acting_in
from tests.incidents.monitored_network import ACTOR, MonitoredNetwork
from tests.incidents.rca.isp import backhaul_cut, snapshot

LANGUAGES = [code for code, _name in settings.LANGUAGES]
#: Stored by earlier releases and no longer written.
FORMER_CODES = {"incidents.timeline.webhook_accepted", "incidents.timeline.webhook_failed"}
CODE = re.compile(r"incidents\.[a-z_]+\.[a-z_]+")
ODD_NAMES = ["core 1", "100 %", "%(name)s", "{name}", "شبكة", "\u202ecr1", "cr1\u200f"]


def codes_in_source() -> set[str]:
    """Every message code in the source of the apps, as a whole string literal."""
    found = set()
    for app in ("incidents", "delivery"):
        for path in (Path(settings.BASE_DIR) / "apps" / app).rglob("*.py"):
            if path.name == "messages.py" or "migrations" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found |= {node.value} if CODE.fullmatch(node.value) else set()
    return found


class PlaceholderRecorder(dict):
    """Gives a number for every placeholder and records its name."""

    def __missing__(self, name: str) -> int:
        self[name] = 3
        return 3


def params_of(code: str) -> dict[str, int]:
    recorder = PlaceholderRecorder()
    assert str(CATALOG[code] % recorder)
    return dict(recorder)


@pytest.fixture
def network(acme) -> MonitoredNetwork:
    return MonitoredNetwork(acme)


class TestCatalog:
    def test_has_a_text_for_every_code_and_no_other(self):
        assert codes_in_source() == CATALOG.keys() - FORMER_CODES

    def test_is_registered(self):
        assert messages.registered_codes() >= CATALOG.keys()

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("code", sorted(CATALOG))
    def test_renders_in_every_language(self, code, language):
        with override(language):
            params = params_of(code)
            text = messages.render(code, params)

        assert text
        assert code not in text
        assert "%(" not in text


class TestVerdict:
    @pytest.fixture
    def verdict_snapshot(self) -> Snapshot:
        symptoms, unreachable = backhaul_cut()
        return snapshot(symptoms, unreachable=unreachable)

    def test_has_the_same_digest_in_every_language(self, verdict_snapshot):
        digests = set()
        for language in LANGUAGES:
            with override(language):
                digests.add(reach_verdict(verdict_snapshot).digest)

        assert len(digests) == 1

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_shows_a_name_as_it_is(self, name):
        message = Message("incidents.title.down", {"causes": name, "n": 1})
        title = Message(
            "incidents.title.with_effect",
            {"state": message, "effect": Message("incidents.effect.routers_lost", {"n": 2})},
        )

        assert title.english == f"{name} is down: 2 routers lost"
        assert str(title).replace(FSI, "").replace(PDI, "") == title.english


@pytest.mark.django_db
class TestStoredTexts:
    def test_every_stored_message_renders_in_every_language(self, network):
        network.cut_backhaul(0, 60)
        network.lose_power(60, 100, 130)
        network.run(130, 200)

        with acting_in(network.tenant):
            found = [row.title_message for row in Incident.objects.all()]
            found += [row.message for row in TimelineEntry.objects.exclude(message=None)]
            for row in IncidentAlert.objects.all():
                found += [row.summary_message, row.suppressed_reason]
            for row in Revision.objects.all():
                found += documents_in(row.problem)
        stored = [message for message in found if message]
        assert len(stored) > 20
        for language in LANGUAGES:
            with override(language):
                for message in stored:
                    assert message.code not in str(message)

    def test_title_and_timeline_follow_the_reader(self, network):
        incident = network.open_incident()

        with acting_in(network.tenant):
            stored = Incident.objects.get(pk=incident.pk)
            entry = TimelineEntry.objects.get(incident=incident, kind="opened")
        assert stored.display_title == stored.title == "cr2-agg1 is down: 2 routers cut off"
        assert entry.text == entry.english_text
        with override("ar"):
            assert f"{FSI}cr2-agg1{PDI}" in stored.display_title
            assert f"{FSI}cr2-agg1{PDI}" in entry.text
            assert entry.english_text.startswith("Opened: cr2-agg1, confidence 0.")

    def test_what_operators_write_stays_as_written(self, network):
        incident = network.open_incident()

        with acting_in(network.tenant):
            note = add_note(
                incident_id=incident.id, text="100 % {x} %(y)s", actor=ACTOR, at=network.at(60)
            )
            close_incident(
                incident_id=incident.id, reason="50 % done", actor=ACTOR, at=network.at(61)
            )
            closed = TimelineEntry.objects.get(incident=incident, kind="closed")
        assert (note.text, note.message) == ("100 % {x} %(y)s", None)
        assert closed.english_text == f"Closed by {ACTOR.label}: 50 % done"

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_a_replay_is_the_same_in_every_language(self, network, language):
        network.open_incident()

        with acting_in(network.tenant), override(language):
            revision = Revision.objects.select_related("snapshot__graph").latest("number")
            assert replay_revision(revision).is_same


def documents_in(value: object) -> list[Message]:
    """Every message within a stored document."""
    if isinstance(value, dict):
        if value.keys() == {"code", "params"}:
            return [Message.from_document(value)]
        return [found for part in value.values() for found in documents_in(part)]
    if isinstance(value, list):
        return [found for part in value for found in documents_in(part)]
    return []
