"""The API's description: whole, without a warning, and the file in docs/ is what the code says today."""

from pathlib import Path

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from tests.clients import bearer

KEPT = Path(__file__).parents[2] / "docs" / "openapi.yaml"
RENEW = "python3 run.py manage spectacular --validate --fail-on-warn --file docs/openapi.yaml"


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("openapi") / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(path))
    return path.read_text(encoding="utf-8")


def test_the_stored_description_is_up_to_date(generated):
    assert KEPT.read_text(encoding="utf-8") == generated, f"Out of date. Run: {RENEW}"


@pytest.mark.parametrize(
    "line",
    [
        "  /api/v1/alert-rules/import/:",
        "  /api/v1/alerts/{id}/history/:",
        "  /api/v1/topology/graph/:",
        "    bearer:",
        "    session:",
        "        application/problem+json:",
        "        name: severity",
    ],
)
def test_it_names_the_endpoints_the_callers_the_filters_and_the_refusals(generated, line):
    assert f"\n{line}\n" in generated


def test_ingest_is_not_described(generated):
    assert "/ingest" not in generated


@pytest.mark.django_db
class TestServed:
    def test_to_members(self, acme, acme_readonly, generated):
        answer = bearer(acme, acme_readonly).get("/api/schema/")

        assert answer.status_code == 200
        assert answer.content.decode() == generated

    def test_to_nobody_else(self):
        assert APIClient().get("/api/schema/").status_code == 401
