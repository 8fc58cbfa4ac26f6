"""Rule documents in the OpenAPI description: each type of condition with its schema, and examples that are accepted."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft4Validator

from agent.protocol.registry import METRICS
from apps.alerts.api.description import component_of
from apps.alerts.models import AlertRule
from apps.alerts.packs import load_pack
from apps.alerts.rules.conditions import CONDITIONS
from apps.tenancy import acting_in
from tests.alerts.test_api_rules import IMPORT, RULE
from tests.clients import bearer, problem

STORED = Path(__file__).parents[2] / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return yaml.safe_load(STORED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def documents(description) -> Draft4Validator:
    """Of rule documents. OpenAPI 3.0 has the words of JSON Schema's draft 4."""
    reference = {"$ref": "#/components/schemas/RuleDocument"}
    return Draft4Validator({**reference, "components": description["components"]})


def document_of(type_name: str, **changes: Any) -> dict[str, Any]:
    """A rule with the published example of this type."""
    condition = {"type": type_name, **CONDITIONS[type_name].example}
    entity_type = METRICS[condition["metric"]].entity_type
    scope = {"by_entity_type": entity_type}
    return {**RULE, "id": f"of_{type_name}", "scope": scope, "condition": condition | changes}


@pytest.mark.parametrize("type_name", CONDITIONS)
class TestEveryType:
    def test_is_published_with_its_own_fields(self, description, type_name):
        schemas = description["components"]["schemas"]
        name = component_of(type_name)

        assert {"$ref": f"#/components/schemas/{name}"} in schemas["RuleCondition"]["oneOf"]
        discriminator = schemas["RuleCondition"]["discriminator"]
        assert discriminator["propertyName"] == "type"
        assert discriminator["mapping"][type_name] == f"#/components/schemas/{name}"
        published = schemas[name]
        condition = CONDITIONS[type_name]
        common = {"type", "metric", "lookback_seconds"}
        assert set(published["properties"]) == {*common, *condition.properties}
        assert set(published["required"]) == {"type", "metric", *condition.required}
        assert published["properties"]["type"] == {"enum": [type_name]}
        assert published["example"] == {"type": type_name, **condition.example}

    @pytest.mark.django_db
    def test_its_example_fits_and_is_imported(self, acme, acme_noc, documents, type_name):
        document = document_of(type_name)
        documents.validate(document)

        answer = bearer(acme, acme_noc).post(
            IMPORT, {"pack": "own", "mode": "merge", "rules": [document]}
        )

        assert answer.status_code == 200, answer.content
        with acting_in(acme):
            assert AlertRule.objects.get().document["condition"] == document["condition"]

    @pytest.mark.django_db
    def test_what_the_schema_refuses_is_refused(self, acme, acme_noc, documents, type_name):
        noc = bearer(acme, acme_noc)
        wrong = [{"lookback_seconds": 0}, {"lookback_seconds": 10**7}, {"type": "no_such_type"}]
        wrong += [{name: {"no": "value"}} for name in CONDITIONS[type_name].properties]
        for changes in wrong:
            document = document_of(type_name, **changes)
            assert not documents.is_valid(document), changes

            answer = noc.post(IMPORT, {"pack": "own", "mode": "merge", "rules": [document]})

            assert problem(answer) == (422, "rule_invalid"), changes


def test_the_endpoints_refer_to_it(description):
    schemas = description["components"]["schemas"]
    reference = {"$ref": "#/components/schemas/RuleDocument"}

    assert schemas["ImportRequest"]["properties"]["rules"]["items"] == reference
    assert schemas["Pack"]["properties"]["rules"]["items"] == reference
    assert reference in schemas["RuleDetail"]["properties"]["document"]["allOf"]
    condition = schemas["RuleDocument"]["properties"]["condition"]
    assert condition == {"$ref": "#/components/schemas/RuleCondition"}


def test_the_shipped_rules_fit(documents):
    for document in load_pack("first"):
        documents.validate(document)
