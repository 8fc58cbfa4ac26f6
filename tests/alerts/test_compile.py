import copy
from typing import Any

import pytest

from apps.alerts.choices import Severity, Symptom
from apps.alerts.errors import RuleInvalid
from apps.alerts.packs import load_pack, shipped_packs
from apps.alerts.rules.compile import compile_rule, make_override, render_summary
from apps.alerts.rules.overrides import EntityAttributes, resolve
from apps.alerts.rules.program import Timing

PACK = {rule["id"]: rule for rule in load_pack("first")}


def changed(key: str, path: str, value) -> dict[str, Any]:
    document = copy.deepcopy(PACK[key])
    *parents, last = path.split("/")
    target = document
    for name in parents:
        target = target[name]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return document


class TestShippedPacks:
    @pytest.mark.parametrize("pack", shipped_packs())
    def test_compile_with_a_known_symptom(self, pack):
        rules = [compile_rule(document) for document in load_pack(pack)]

        assert len({rule.key for rule in rules}) == len(rules) >= 8
        assert {rule.symptom for rule in rules} <= set(Symptom.values)
        assert {rule.severity for rule in rules} <= set(Severity.values)

    def test_every_rule_has_its_runbook_page(self):
        from pathlib import Path

        handbook = Path(__file__).parents[2] / "docs/operator-handbook"
        pages = {rule["annotations"]["runbook"] for rule in PACK.values()}

        assert [page for page in pages if not (handbook / page).is_file()] == []


class TestValidation:
    @pytest.mark.parametrize(
        ("key", "path", "value"),
        [
            ("cpu_high", "id", "CPU High"),
            ("cpu_high", "name", ""),
            ("cpu_high", "rule_schema_version", "2.0"),
            ("cpu_high", "severity", "apocalyptic"),
            ("cpu_high", "scope", ...),
            ("cpu_high", "scope/by_entity_type", "planet"),
            ("cpu_high", "condition/metric", "device.mood"),
            ("cpu_high", "condition/metric", "interface.oper_up"),
            ("cpu_high", "condition/metric", "__class__"),
            ("cpu_high", "condition/operator", "exec"),
            ("cpu_high", "condition/aggregation", "eval"),
            ("cpu_high", "condition/threshold", "ninety"),
            ("cpu_high", "condition/threshold", float("nan")),
            ("cpu_high", "condition/lookback_seconds", 0),
            ("cpu_high", "condition/lookback_seconds", 1e9),
            ("cpu_high", "for_seconds", -1),
            ("cpu_high", "annotations/summary_template", "{device.__class__}"),
            ("cpu_high", "annotations/summary_template", "{unclosed"),
            ("ospf_not_full", "condition/is_not_one_of", []),
            ("ospf_not_full", "condition/is_not_one_of", [1]),
            ("ospf_not_full", "condition/metric", "ospf.neighbor.up"),
            ("cpu_high", "extra", 1),
        ],
    )
    def test_an_invalid_rule_is_rejected_with_a_message(self, key, path, value):
        document = changed(key, path, value)

        with pytest.raises(RuleInvalid) as error:
            compile_rule(document)

        assert error.value.code == "rule_invalid"
        assert error.value.message

    @pytest.mark.parametrize("kind", ["rate_of_change", "baseline", "forecast", "composite"])
    def test_a_reserved_condition_has_its_own_code(self, kind):
        with pytest.raises(RuleInvalid) as error:
            compile_rule(changed("cpu_high", "condition/type", kind))

        assert error.value.code == "condition_type_not_supported"

    @pytest.mark.parametrize(
        ("level", "target", "changes"),
        [
            ("device", "", {"threshold": 1}),
            ("tenant", "x", {"threshold": 1}),
            ("role", "core", {}),
            ("role", "core", {"severity": "info"}),
            ("role", "core", {"threshold": "1"}),
            ("role", "core", {"enabled": 1}),
            ("role", "core", {"for_seconds": -5}),
        ],
    )
    def test_an_invalid_override_is_rejected(self, level, target, changes):
        with pytest.raises(RuleInvalid):
            make_override(level=level, target=target, changes=changes)


def test_each_duration_is_the_documents():
    document = {**changed("cpu_high", "for_seconds", 1), "recover_for_seconds": 2}
    document["cooldown_seconds"] = 3

    assert compile_rule(document).timing == Timing(
        for_seconds=1, recover_for_seconds=2, cooldown_seconds=3
    )


class TestOverrides:
    CORE = EntityAttributes("d1", "core", "s1", frozenset({"vip"}))
    ACCESS = EntityAttributes("d2", "access", "s1", frozenset())

    def test_the_packs_own_override_gives_hard_signals_ten_seconds(self):
        rule = compile_rule(PACK["unreachable"])

        assert resolve(rule, (), self.CORE).timing.for_seconds == 10
        assert resolve(rule, (), self.ACCESS).timing.for_seconds == 30

    def test_the_most_specific_wins_and_is_named(self):
        rule = compile_rule(PACK["cpu_high"])
        own = [
            make_override(level="tenant", changes={"threshold": 50}),
            make_override(level="site", target="s1", changes={"threshold": 60}),
            make_override(level="role", target="core", changes={"threshold": 70}),
            make_override(level="tag", target="vip", changes={"threshold": 80}),
            make_override(level="device", target="d1", changes={"threshold": 95}, label="old box"),
        ]

        found = [resolve(rule, own[: n + 1], self.CORE) for n in range(5)]

        assert [e.bounds.threshold for e in found] == [50, 60, 70, 80, 95]
        assert found[-1].override == "old box (device d1)"

    def test_severity_follows_the_role(self):
        rule = compile_rule(PACK["interface_down"])

        assert resolve(rule, (), self.CORE).severity == "critical"
        assert resolve(rule, (), self.ACCESS).severity == "warn"


def test_a_summary_is_plain_replacement():
    text = render_summary("{entity.name} is {state}", {"entity.name": "{value}", "state": "Down"})

    assert text in {"{value} is Down", " is Down"}
