"""Callers of the REST API, and what they are answered."""

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

#: Who does what a test needs done.
WHO_TESTS = {"actor": Actor.system("test"), "at": clock.now()}


def bearer(tenant: Any, user: Any) -> APIClient:
    """A program with this member's token."""
    _, text = issue_token(
        tenant=tenant, user=user, name="test", actor=Actor.system("test"), at=clock.now()
    )
    return APIClient(headers={"Authorization": f"Bearer {text}"})


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    assert answer["Content-Type"] == "application/problem+json", answer.content
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["code"]


def faulty_fields(answer: Any) -> set[str]:
    """What a 400 names."""
    assert problem(answer) == (400, "invalid")
    return {error["field"] for error in answer.json()["errors"]}


def listed(client: APIClient, path: str) -> list[dict[str, Any]]:
    """The rows of one page."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    rows: list[dict[str, Any]] = answer.json()["results"]
    return rows


def queries(call: Callable[[], Any]) -> int:
    """How many a call costs."""
    with CaptureQueriesContext(connection) as captured:
        call()
    return len(captured)


def signed_in(client: Any, user: Any) -> Any:
    """A browser in which this person has just signed in."""
    client.force_login(user)
    session = client.session
    record_authentication(session, clock.now())
    store_own_factor(session)
    session.save()
    return client
