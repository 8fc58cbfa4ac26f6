"""Clients of pages and of the REST API, and helpers for their responses."""

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.factor_policy import store_own_factor
from apps.accounts.services import issue_token
from apps.authorization.actors import Actor
from apps.authorization.freshness import record_authentication
from apps.core import clock

#: Actor and time of service calls in tests.
WHO_TESTS = {"actor": Actor.system("test"), "at": clock.now()}


def bearer(tenant: Any, user: Any) -> APIClient:
    """A client with an API token of this member."""
    _, text = issue_token(
        tenant=tenant, user=user, name="test", actor=Actor.system("test"), at=clock.now()
    )
    return APIClient(headers={"Authorization": f"Bearer {text}"})


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a problem response."""
    assert answer["Content-Type"] == "application/problem+json", answer.content
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["code"]


def faulty_fields(answer: Any) -> set[str]:
    """The fields that a 400 names."""
    assert problem(answer) == (400, "invalid")
    return {error["field"] for error in answer.json()["errors"]}


def listed(client: APIClient, path: str) -> list[dict[str, Any]]:
    """The rows of one page."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    rows: list[dict[str, Any]] = answer.json()["results"]
    return rows


def queries(call: Callable[[], Any]) -> int:
    """The number of database queries of a call."""
    with CaptureQueriesContext(connection) as captured:
        call()
    return len(captured)


def signed_in(client: Any, user: Any) -> Any:
    """The client, signed in as this user a moment ago."""
    client.force_login(user)
    session = client.session
    record_authentication(session, clock.now())
    store_own_factor(session)
    session.save()
    return client
