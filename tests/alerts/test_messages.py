"""Summaries of alerts and names of rules by message code."""

import pytest
from django.utils.translation import override

from apps.alerts import messages
from apps.alerts.messages import TEXT, rule_name, summary_message
from apps.alerts.packs import load_pack, shipped_packs
from apps.core.messages import Message, registered_codes

RULES = [rule for pack in shipped_packs() for rule in load_pack(pack)]
PARAMS = {"entity": "cr1", "device": "cr1", "value": 97.5, "state": "down", "threshold": 90.0}


@pytest.mark.parametrize("rule", RULES, ids=[rule["id"] for rule in RULES])
class TestShippedRules:
    def test_have_a_code_with_the_text_of_their_template(self, rule):
        template = rule["annotations"]["summary_template"]

        message = summary_message(template, PARAMS, text="unused")

        assert message.code == f"alerts.summary.{rule['id']}"
        fields = {"{entity.name}": "cr1", "{state}": "down", "{value}": "97.5"}
        for field, value in fields.items():
            template = template.replace(field, value)
        assert message.english == template

    def test_have_a_name_that_is_translated(self, rule):
        with override(None):
            assert str(messages.CATALOG[f"alerts.rule.{rule['id']}"]) == rule["name"]
            assert rule_name(rule) == rule["name"]


def test_the_catalog_is_registered():
    assert registered_codes() >= set(messages.CATALOG)


class TestOperatorTexts:
    def test_a_template_of_an_operator_stays_text(self):
        text = "Der Router {cr1} steht: 100 %"

        message = summary_message("Der Router {entity.name} steht: 100 %", PARAMS, text=text)

        assert message == Message(TEXT, {"text": text})
        assert message.english == text

    def test_a_missing_parameter_leaves_the_text(self):
        template = "CPU of {entity.name} is at {value} %"

        message = summary_message(template, {**PARAMS, "value": None}, text="CPU of cr1 is at  %")

        assert message.english == "CPU of cr1 is at  %"

    def test_a_changed_name_stays_as_it_is(self):
        assert rule_name({"id": "cpu_high", "name": "CPU zu hoch"}) == "CPU zu hoch"
        assert rule_name({"id": "own", "name": "Own rule"}) == "Own rule"
        assert rule_name({"id": "own"}) == "own"


def test_names_of_entities_are_isolated_where_they_could_reorder_the_text():
    message = summary_message("{entity.name} went down", {"entity": "برج 1"}, text="")

    with override("en"):
        assert str(message) == "\u2068برج 1\u2069 went down"
    assert message.english == "برج 1 went down"
