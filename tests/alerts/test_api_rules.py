import uuid
from typing import Any

import pytest

from apps.alerts import services
from apps.alerts.models import AlertRule, RuleOverride
from apps.alerts.packs import load_pack
from apps.audit.models import Record
from apps.core import clock
from apps.tenancy import acting_in
from tests.clients import bearer, faulty_fields, listed, problem, queries
from tests.inventory.factories import ACTOR, make_device

pytestmark = pytest.mark.django_db

SHIPPED = len(load_pack("first"))
BASE = "/api/v1/alert-rules/"
IMPORT = f"{BASE}import/"
RULE: dict[str, Any] = {
    "id": "temperature_high",
    "name": "Hot",
    "rule_schema_version": "1.0",
    "severity": "info",
    "scope": {"by_entity_type": "device"},
    "condition": {
        "type": "threshold",
        "metric": "device.cpu_pct",
        "operator": "gt",
        "threshold": 70,
    },
}


@pytest.fixture
def noc(acme, acme_noc):
    return bearer(acme, acme_noc)


@pytest.fixture
def rules(acme) -> dict[str, AlertRule]:
    with acting_in(acme):
        return {
            row.key: row for row in services.install_pack(pack="first", actor=ACTOR, at=clock.now())
        }


def url(rule: AlertRule, more: str = "") -> str:
    return f"{BASE}{rule.id}/{more}"


def keys(rows) -> set[str]:
    return {row["key"] for row in rows}


class TestReading:
    def test_the_list_has_a_summary_and_the_detail_has_the_document(self, noc, rules):
        rows = listed(noc, BASE)
        one = noc.get(url(rules["cpu_high"])).json()

        assert [row["key"] for row in rows] == sorted(rules)
        assert "document" not in rows[0]
        assert one["document"] == rules["cpu_high"].document
        assert (one["name"], one["entity_type"], one["enabled"]) == ("CPU high", "device", True)

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("pack=first", SHIPPED),
            ("pack=other", 0),
            ("enabled=true", SHIPPED - 1),
            ("enabled=false", 1),
            ("severity=info", 0),
            ("severity=critical&enabled=true", 6),
        ],
    )
    def test_is_filtered(self, acme, noc, rules, query, expected):
        with acting_in(acme):
            services.set_enabled(
                rule=rules["cpu_high"], is_enabled=False, actor=ACTOR, at=clock.now()
            )

        assert len(listed(noc, f"{BASE}?{query}")) == expected

    @pytest.mark.parametrize(
        ("severity", "expected"),
        [
            ({"core": "critical", "default": "info"}, {"critical", "info"}),
            ({"core": "critical"}, {"critical", "warn"}),
            ("info", {"info"}),
        ],
    )
    def test_the_severity_filter_matches_every_severity_of_a_rule(self, noc, severity, expected):
        noc.post(IMPORT, {"pack": "p", "mode": "merge", "rules": [{**RULE, "severity": severity}]})

        found = {s for s in ("info", "warn", "critical") if listed(noc, f"{BASE}?severity={s}")}

        assert found == expected

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("severity=fatal", "severity"),
            ("enabled=perhaps", "enabled"),
            ("pack=%00", "pack"),
        ],
    )
    def test_an_invalid_filter_is_rejected(self, noc, query, field):
        assert faulty_fields(noc.get(f"{BASE}?{query}")) == {field}

    def test_pages_follow_one_another(self, noc, rules):
        first = noc.get(f"{BASE}?page_size={SHIPPED - 1}").json()
        second = noc.get(first["next"]).json()

        assert [len(first["results"]), len(second["results"])] == [SHIPPED - 1, 1]
        assert second["next"] is None

    @pytest.mark.parametrize("cursor", ["x", "cD0lMDA", "cD1hAA=="])
    def test_an_invalid_cursor_is_rejected(self, noc, rules, cursor):
        assert faulty_fields(noc.get(f"{BASE}?cursor={cursor}")) == {"cursor"}

    def test_costs_the_same_queries_for_one_row_and_for_twenty(self, acme, noc):
        def import_some(count: int) -> None:
            documents = [{**RULE, "id": f"rule_{n}"} for n in range(count)]
            with acting_in(acme):
                services.import_rules(documents=documents, pack="p", actor=ACTOR, at=clock.now())

        import_some(1)
        few = queries(lambda: listed(noc, BASE))
        import_some(20)

        assert queries(lambda: listed(noc, BASE)) == few
        assert len(listed(noc, BASE)) == 20


class TestEnabling:
    def test_disables_and_enables(self, noc, rules):
        assert noc.patch(url(rules["cpu_high"]), {"enabled": False}).json()["enabled"] is False
        assert noc.patch(url(rules["cpu_high"]), {"enabled": True}).json()["enabled"] is True

    @pytest.mark.parametrize("body", [{}, {"enabled": "perhaps"}, {"enabled": None}, []])
    def test_faults(self, noc, rules, body):
        assert problem(noc.patch(url(rules["cpu_high"]), body)) == (400, "invalid")


class TestImport:
    def test_a_shipped_pack_is_installed_by_name(self, noc):
        response = noc.post(IMPORT, {"pack": "first", "mode": "merge"})

        assert response.status_code == 200
        assert keys(response.json()["rules"]) == {rule["id"] for rule in load_pack("first")}
        assert noc.post(IMPORT, {"pack": "first", "mode": "merge"}).json() == response.json()

    def test_an_exported_pack_imports_unchanged_elsewhere(self, noc, rules, globex, globex_noc):
        noc.patch(url(rules["cpu_high"]), {"enabled": False})
        pack = noc.get(f"{BASE}export/?pack=first").json()
        other = bearer(globex, globex_noc)

        other.post(IMPORT, {**pack, "mode": "merge"})

        assert other.get(f"{BASE}export/?pack=first").json() == pack
        assert keys(listed(other, f"{BASE}?enabled=false")) == {"cpu_high"}

    def test_merge_keeps_disabled_rules_and_other_rules(self, noc, rules):
        noc.patch(url(rules["cpu_high"]), {"enabled": False})
        renewed = {**rules["cpu_high"].document, "name": "Renewed", "version": 2}

        noc.post(IMPORT, {"pack": "first", "mode": "merge", "rules": [renewed]})

        one = noc.get(url(rules["cpu_high"])).json()
        assert (one["name"], one["version"], one["enabled"]) == ("Renewed", 2, False)
        assert len(listed(noc, f"{BASE}?enabled=true")) == SHIPPED - 1

    def test_replace_makes_the_pack_equal_and_keeps_history_and_overrides(self, acme, noc, rules):
        noc.patch(url(rules["cpu_high"]), {"enabled": False})
        noc.post(IMPORT, {"pack": "mine", "mode": "merge", "rules": [RULE]})
        noc.post(
            url(rules["unreachable"], "overrides/"),
            {"scope": "tenant", "changes": {"enabled": True}},
        )

        noc.post(
            IMPORT, {"pack": "first", "mode": "replace", "rules": [rules["cpu_high"].document]}
        )

        assert keys(listed(noc, f"{BASE}?enabled=true")) == {"cpu_high", "temperature_high"}
        assert len(listed(noc, BASE)) == SHIPPED + 1
        assert len(listed(noc, url(rules["unreachable"], "overrides/"))) == 1
        with acting_in(acme):
            record = Record.objects.filter(action="alert_rules.imported").latest("at")
        assert record.detail["mode"] == "replace"
        assert len(record.detail["disabled"]) == SHIPPED - 1

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"pack": "first"},
            {"pack": "first", "mode": "erase"},
            {"mode": "merge"},
            {"pack": "", "mode": "merge"},
            {"pack": "p", "mode": "merge", "rules": "all"},
            {"pack": "p", "mode": "merge", "rules": [1]},
            {"pack": "p", "mode": "merge", "rules": [RULE] * 501},
        ],
    )
    def test_faults_of_the_request(self, noc, body):
        assert problem(noc.post(IMPORT, body)) == (400, "invalid")

    @pytest.mark.parametrize(
        "change",
        [
            {"id": "Not A Key"},
            {"version": 2**40},
            {"severity": {}},
            {"severity": ["info"]},
            {"scope": {"by_entity_type": "moon"}},
            {"condition": {"type": ["threshold"]}},
            {"condition": {**RULE["condition"], "operator": {}}},
            {"condition": {**RULE["condition"], "metric": ["x"]}},
            {"condition": {**RULE["condition"], "lookback_seconds": "long"}},
            {"overrides": [{"level": "tenant", "changes": {"enabled": True}, "surprise": 1}]},
            {"overrides": [{"level": "tenant", "changes": {"threshold": [1]}}]},
            {"gate": {"metric": "device.up", "equals": 1, "surprise": 1}},
            {"annotations": {"summary_template": "{entity.__class__}"}},
            {"pack": "somebody's"},
            {"surprise": 1},
        ],
    )
    def test_an_invalid_rule_rejects_the_whole_import(self, noc, change):
        good = {**RULE, "id": "good_one"}
        body = {"pack": "p", "mode": "merge", "rules": [good, {**RULE, **change}]}

        assert problem(noc.post(IMPORT, body)) == (422, "rule_invalid")
        assert listed(noc, BASE) == []

    def test_reserved_condition_types_have_their_own_code(self, noc):
        body = {
            "pack": "p",
            "mode": "merge",
            "rules": [{**RULE, "condition": {"type": "forecast"}}],
        }

        assert problem(noc.post(IMPORT, body)) == (422, "condition_type_not_supported")

    def test_a_duplicate_rule_is_rejected(self, noc):
        body = {"pack": "p", "mode": "merge", "rules": [RULE, RULE]}

        assert problem(noc.post(IMPORT, body)) == (422, "rule_invalid")

    def test_an_unknown_pack_is_rejected(self, noc):
        body = {"pack": "../first", "mode": "merge"}

        assert problem(noc.post(IMPORT, body)) == (422, "unknown_pack")

    @pytest.mark.parametrize(
        "text",
        [
            '{"pack": "p\\u0000", "mode": "merge", "rules": []}',
            '{"pack": "p", "mode": "merge", "rules": [{"name": "\\ud800"}]}',
            '{"pack": "p", "mode": "merge", "rules": [{"version": 1e999}]}',
            '{"pack": "p", "mode": "merge", "rules": [{"version": NaN}]}',
            '{"pack": "p", "mode": "merge", "rules": [{"version": 1' + "0" * 400 + "}]}",
            '{"pack": "p", "mode": "merge", "rules": ' + "[" * 40 + "]" * 40 + "}",
            "[" * 100_000,
            "{",
            "\xff",
        ],
    )
    def test_text_that_postgresql_cannot_store_is_rejected(self, noc, text):
        response = noc.post(IMPORT, text.encode("latin-1"), content_type="application/json")

        assert problem(response) == (400, "parse_error")

    def test_export_needs_the_pack_s_name(self, noc):
        assert faulty_fields(noc.get(f"{BASE}export/")) == {"pack"}
        assert noc.get(f"{BASE}export/?pack=nothing").json() == {"pack": "nothing", "rules": []}


class TestOverrides:
    def test_are_set_listed_replaced_and_deleted(self, noc, rules):
        path = url(rules["cpu_high"], "overrides/")
        body = {
            "scope": "tag",
            "target": "lab",
            "changes": {"threshold": 99},
            "reason": "old boxes",
        }

        created = noc.post(path, body)
        again = noc.post(path, {**body, "changes": {"for_seconds": 5, "enabled": False}})

        assert created.status_code == again.status_code == 201
        assert created.json()["changes"] == {"threshold": 99.0}
        assert created.json()["id"] == again.json()["id"]
        assert listed(noc, path) == [again.json()]
        assert again.json()["changes"] == {"for_seconds": 5.0, "enabled": False}
        assert noc.delete(f"{path}{created.json()['id']}/").status_code == 204
        assert listed(noc, path) == []

    def test_every_scope(self, acme, noc, rules):
        with acting_in(acme):
            device = make_device()
        path = url(rules["cpu_high"], "overrides/")
        targets = {
            "tenant": "",
            "site": str(device.site_id),
            "role": "core",
            "tag": "lab",
            "device": str(device.id).upper(),
        }
        for scope, target in targets.items():
            response = noc.post(path, {"scope": scope, "target": target, "changes": {"recover": 1}})
            assert response.status_code == 201, response.content
            assert response.json()["target"] == target.lower()

        assert {row["scope"] for row in listed(noc, path)} == set(targets)

    @pytest.mark.parametrize(
        ("change", "fields"),
        [
            ({"scope": "galaxy"}, {"scope"}),
            ({"changes": {}, "scope": None}, {"scope"}),
            ({"changes": []}, {"changes.non_field_errors"}),
            ({"changes": {"metric": "x"}}, {"changes.metric"}),
            ({"changes": {"threshold": "much"}}, {"changes.threshold"}),
            ({"changes": {"threshold": "nan"}}, {"changes.threshold"}),
            ({"changes": {"for_seconds": -1}}, {"changes.for_seconds"}),
            ({"target": "x" * 101}, {"target"}),
            ({"reason": "x" * 201}, {"reason"}),
        ],
    )
    def test_faults_name_their_fields(self, noc, rules, change, fields):
        body = {"scope": "tenant", "changes": {"threshold": 1}, **change}

        assert faulty_fields(noc.post(url(rules["cpu_high"], "overrides/"), body)) == fields

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"changes": {}}, "override_invalid"),
            ({"target": "core"}, "override_invalid"),
            ({"scope": "role"}, "override_invalid"),
            ({"scope": "role", "target": "king"}, "target_unknown"),
            ({"scope": "device", "target": "cr1"}, "target_unknown"),
            ({"scope": "device", "target": str(uuid.uuid4())}, "target_unknown"),
            ({"scope": "site", "target": str(uuid.uuid4())}, "target_unknown"),
        ],
    )
    def test_invalid_overrides_are_rejected(self, noc, rules, change, code):
        body = {"scope": "tenant", "changes": {"threshold": 1}, **change}

        assert problem(noc.post(url(rules["cpu_high"], "overrides/"), body)) == (422, code)

    def test_a_rule_without_a_threshold_rejects_one(self, noc, rules):
        path = url(rules["ospf_not_full"], "overrides/")

        assert problem(noc.post(path, {"scope": "tenant", "changes": {"threshold": 1}})) == (
            422,
            "override_invalid",
        )

    def test_another_tenants_device_is_not_a_target(self, noc, rules, globex):
        with acting_in(globex):
            device = make_device()
        body = {"scope": "device", "target": str(device.id), "changes": {"threshold": 1}}

        response = noc.post(url(rules["cpu_high"], "overrides/"), body)

        assert problem(response) == (422, "target_unknown")

    def test_cost_the_same_queries_for_one_row_and_for_twenty(self, noc, rules):
        path = url(rules["cpu_high"], "overrides/")

        def tag(name: str) -> None:
            noc.post(path, {"scope": "tag", "target": name, "changes": {"threshold": 1}})

        tag("t0")
        few = queries(lambda: listed(noc, path))
        for number in range(1, 20):
            tag(f"t{number}")

        assert queries(lambda: listed(noc, path)) == few
        assert len(listed(noc, path)) == 20


WRITES = [
    ("patch", "{rule}/", {"enabled": False}),
    ("post", "import/", {"pack": "first", "mode": "merge"}),
    ("post", "{rule}/overrides/", {"scope": "tenant", "changes": {"threshold": 1}}),
    ("delete", "{rule}/overrides/{override}/", None),
]
READS = ["", "{rule}/", "{rule}/overrides/", "export/?pack=first"]
SINGLE_OBJECT_REQUESTS = [
    *[("get", path, None) for path in READS if "{" in path],
    *[w for w in WRITES if "{" in w[1]],
]


class TestPermissions:
    @pytest.fixture
    def existing_ids(self, acme, rules):
        rule = rules["cpu_high"]
        with acting_in(acme):
            override = services.set_override(
                rule=rule, level="tenant", changes={"threshold": 2}, actor=ACTOR, at=clock.now()
            )
        return {"rule": rule.id, "override": override.id}

    @pytest.mark.parametrize("role", ["acme_readonly", "acme_auditor"])
    @pytest.mark.parametrize(("method", "path", "body"), WRITES)
    def test_readonly_members_cannot_write(
        self, acme, existing_ids, request, role, method, path, body
    ):
        client = bearer(acme, request.getfixturevalue(role))

        response = getattr(client, method)(BASE + path.format(**existing_ids), body)

        assert response.status_code == 403

    @pytest.mark.parametrize("role", ["acme_readonly", "acme_auditor", "acme_noc", "acme_admin"])
    @pytest.mark.parametrize("path", READS)
    def test_every_member_reads(self, acme, existing_ids, request, role, path):
        client = bearer(acme, request.getfixturevalue(role))

        assert client.get(BASE + path.format(**existing_ids)).status_code == 200

    @pytest.mark.parametrize(("method", "path", "body"), SINGLE_OBJECT_REQUESTS)
    def test_other_tenants_rows_are_not_found(
        self, acme, globex, globex_admin, existing_ids, method, path, body
    ):
        client = bearer(globex, globex_admin)
        absent = {"rule": uuid.uuid4(), "override": uuid.uuid4()}

        responses = [
            getattr(client, method)(BASE + path.format(**ids), body)
            for ids in (existing_ids, absent, {"rule": "x", "override": "%00"})
        ]

        assert {response.status_code for response in responses} == {404}
        assert len({response.content for response in responses}) == 1
        with acting_in(acme):
            assert RuleOverride.objects.count() == 1
            assert AlertRule.objects.filter(is_enabled=True).count() == SHIPPED

    def test_an_override_is_found_under_its_own_rule_only(
        self, acme, acme_noc, rules, existing_ids
    ):
        client = bearer(acme, acme_noc)

        response = client.delete(
            url(rules["unreachable"], f"overrides/{existing_ids['override']}/")
        )

        assert response.status_code == 404

    def test_lists_are_empty_for_other_tenants(self, globex, globex_admin, rules):
        client = bearer(globex, globex_admin)

        assert listed(client, BASE) == []
        assert client.get(f"{BASE}export/?pack=first").json()["rules"] == []
