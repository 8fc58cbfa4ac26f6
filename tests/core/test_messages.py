"""Stored texts: a code and parameters, rendered in the reader's language."""

import json

import pytest
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext_lazy as lazy_plural
from django.utils.translation import override
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.core import messages
from apps.core.messages import FSI, PDI, Message

#: "Open" is translated in every language; the other texts are the same everywhere.
CATALOG = {
    "test.open": lazy("Open"),
    "test.down": lazy("%(name)s went down"),
    "test.routers": lazy_plural("%(n)d router of %(name)s", "%(n)d routers of %(name)s", "n"),
    "test.over": lazy("Over: %(what)s"),
    "test.number": lazy("%(share).2f"),
}
LANGUAGES = ("en", "ar", "es", "pt")


@pytest.fixture(autouse=True)
def catalog(monkeypatch) -> None:
    monkeypatch.setattr(messages, "_templates", {})
    messages.register(CATALOG)


class TestRender:
    def test_fills_named_placeholders(self):
        assert messages.render("test.down", {"name": "core 1"}) == "core 1 went down"

    def test_picks_the_plural_form(self):
        assert str(Message("test.routers", {"n": 1, "name": "a"})) == "1 router of a"
        assert str(Message("test.routers", {"n": 2, "name": "a"})) == "2 routers of a"

    def test_renders_in_the_active_language(self):
        with override("es"):
            assert str(Message("test.open")) == "Abierto"
            assert Message("test.open").english == "Open"

    def test_renders_a_message_within_a_message(self):
        inner = Message("test.down", {"name": "a"})

        assert str(Message("test.over", {"what": inner})) == "Over: a went down"

    @pytest.mark.parametrize(
        "name", ["100 %", "%(name)s", "{name}", "%s %d %%", "a  b", "{0.__class__}", "\\n"]
    )
    def test_formats_a_parameter_only_once(self, name):
        inner = Message("test.down", {"name": name})

        assert str(Message("test.over", {"what": inner})) == f"Over: {name} went down"

    @pytest.mark.parametrize("language", LANGUAGES)
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        code=st.sampled_from([*CATALOG, "test.unknown"]),
        params=st.dictionaries(
            st.sampled_from(["name", "n", "what", "share"]),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        ),
    )
    def test_never_raises(self, language, code, params):
        message = Message(code, params)

        with override(language):
            assert str(message)
            assert message.english

    def test_shows_code_and_parameters_where_it_knows_no_template(self):
        assert messages.render("test.unknown", {"b": 2, "a": "x"}) == "test.unknown (a=x, b=2)"
        assert messages.render("test.unknown", {}) == "test.unknown"

    def test_shows_code_and_parameters_where_a_parameter_is_missing(self):
        assert messages.render("test.down", {"n": 1}) == "test.down (n=1)"
        assert messages.render("test.number", {"share": "much"}) == "test.number (share=much)"


class TestDirection:
    def test_isolates_every_name_in_a_right_to_left_language(self):
        with override("ar"):
            text = str(Message("test.down", {"name": "cr1 ether1"}))

        assert f"{FSI}cr1 ether1{PDI}" in text

    @pytest.mark.parametrize("name", ["شبكة", "\u202ecr1", "cr1\u200f"])
    def test_isolates_a_name_that_could_reorder_a_left_to_right_sentence(self, name):
        message = Message("test.down", {"name": name})

        assert str(message) == f"{FSI}{name}{PDI} went down"
        assert message.english == f"{name} went down"

    def test_leaves_numbers_alone(self):
        with override("ar"):
            assert FSI not in messages.render("test.number", {"share": 0.5})


class TestDocument:
    def test_survives_json(self):
        message = Message(
            "test.over", {"what": Message("test.down", {"name": "a"}), "n": 1, "x": None, "y": True}
        )

        document = json.loads(json.dumps(message.as_document()))

        assert Message.from_document(document) == message
        assert messages.render(document["code"], document["params"]) == "Over: a went down"

    def test_holds_only_what_postgresql_can_store(self):
        params = {"a": float("nan"), "b": float("inf"), "c": "x\x00y", "d": 1.5}

        assert Message("c", params).plain_params == {"a": "nan", "b": "inf", "c": "xy", "d": 1.5}

    def test_is_the_same_in_every_language(self):
        message = Message("test.open", {})
        documents = []
        for language in LANGUAGES:
            with override(language):
                documents.append(json.dumps(message.as_document()))

        assert len(set(documents)) == 1

    def test_is_hashable_and_equal_by_content(self):
        assert len({Message("a", {"n": 1}), Message("a", {"n": 1}), Message("a", {"n": 2})}) == 2


class TestRegister:
    def test_the_same_catalog_twice_is_no_conflict(self):
        messages.register(CATALOG)

        assert messages.registered_codes() == CATALOG.keys()

    def test_refuses_two_templates_for_one_code(self):
        with pytest.raises(ValueError, match=r"test\.open"):
            messages.register({"test.open": lazy("Open now")})
