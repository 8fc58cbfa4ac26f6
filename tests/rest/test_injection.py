"""SQL in every parameter of every operation: it is data, or refused, and never part of a statement.

The proof is not that nothing bad was seen to happen: each statement that the application sends is read, and none may
hold a word of the payload. Values travel beside the statement.
"""

import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from django.db import connection
from rest_framework.test import APIClient

from tests.rest.world import INSIDES, World, undone

pytestmark = pytest.mark.django_db

MARKER = "zq9x"  # in every payload, in no statement
OPENINGS = ("'", '"', "')", "'))", "0", "\\'", "%27", "';", "$$", "x' ")
ENDINGS = (
    f"OR 1=1--{MARKER}",
    f"OR '{MARKER}'='{MARKER}",
    f"; SELECT pg_sleep(5)--{MARKER}",
    f"|| (SELECT pg_sleep(5))::text || '{MARKER}",
    f"UNION SELECT NULL, NULL, current_user /*{MARKER}*/--",
    f"UNION ALL SELECT digest::text FROM accounts_apitoken WHERE '{MARKER}'<>''--",
    f"; SELECT set_config('ispvm.tenant_id', '{{globex}}', false)--{MARKER}",
    f"AND (SELECT set_config('ispvm.tenant_id','{{globex}}',true)) IS NOT NULL--{MARKER}",
    f"; SET row_security = off; SELECT 1--{MARKER}",
    f"; RESET ROLE; SET ROLE ispvm_owner--{MARKER}",
    f"; DROP TABLE inventory_site CASCADE--{MARKER}",
    f"; TRUNCATE inventory_device--{MARKER}",
    f"; UPDATE accounts_membership SET role='admin' WHERE '{MARKER}'<>''--",
    f"; COPY inventory_site TO PROGRAM 'id {MARKER}'--",
    f"AND 1=CAST((SELECT version()) AS int) /*{MARKER}*/--",
    f"AND (SELECT 1 FROM pg_shadow LIMIT 1)=1 /*{MARKER}*/--",
    f"LIMIT 1 OFFSET (SELECT count(*) FROM pg_class) --{MARKER}",
    f"%' ESCAPE '\\' OR name LIKE '%{MARKER}",
    f"{{{{{MARKER}}}}} %s %(x)s %d ${{1}} :1 ? --",
    f"\u02bc OR 1=1 -- \uff07{MARKER}\u2019",
)
#: An answer that names what was sent holds its words.
ECHO = re.compile(MARKER, re.IGNORECASE)
PAYLOADS = [f"{opening} {ending}" for opening in OPENINGS for ending in ENDINGS]


class InjectionPoint(NamedTuple):
    """One parameter of one operation."""

    path: str
    method: str
    location: str
    name: str


def places_of(description: dict[str, Any]) -> list[InjectionPoint]:
    leaks = []
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            given = operation.get("parameters", ())
            leaks += [InjectionPoint(path, method, p["in"], p["name"]) for p in given]
            leaks += [
                InjectionPoint(path, method, "body", n) for n in fields_of(description, operation)
            ]
            leaks.append(InjectionPoint(path, method, "query", f"{MARKER} OR 1=1"))
    return leaks


def fields_of(description: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return list(description["components"]["schemas"].get(name, {}).get("properties", ()))


def ask(
    client: APIClient, world: World, point: InjectionPoint, text: str, response: dict[str, Any]
) -> Any:
    resource = point.path.removeprefix("/api/v1/").partition("/{")[0]
    ids = {"id": str(world.own.get(resource, "x")), "override_id": "x"}
    if point.location == "path":
        ids[point.name] = quote(text, safe="")
    url = point.path
    for name, value in ids.items():
        url = url.replace(f"{{{name}}}", value)
    if point.location == "query":
        url += f"?{quote(point.name)}={quote(text)}"
    given: dict[str, Any] = {}
    if point.method != "get":
        body = (
            {**response, "name": "new", point.name: text} if point.location == "body" else response
        )
        given = {"data": body, "format": "json"}
    if point.location == "header":
        given["headers"] = {point.name: text.encode("ascii", "replace").decode()}
    return getattr(client, point.method)(url, **given)


@contextmanager
def read_statements(leaks: list[str]) -> Iterator[None]:
    """Collect the statements with a word of a payload in them."""

    def reading(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if MARKER in str(sql):
            leaks.append(str(sql)[:300])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(reading):
        yield


def example_rows(world: World) -> dict[str, dict[str, Any]]:
    """What a GET shows of one row of each resource: bodies that are good but for one field."""
    admin = world.clients["admin"]
    answers = {path: admin.get(f"/api/v1/{path}/{pk}/") for path, pk in world.own.items()}
    return {path: answer.json() for path, answer in answers.items() if answer.status_code == 200}


def attack(
    world: World, description: dict[str, Any], count: int, send: Callable[[str, str], None]
) -> None:
    """``count`` payloads into every operation, shared among its parameters."""
    dice = random.Random(int(os.environ.get("ISPVM_SEED", "17")))
    admin = world.clients["admin"]
    admin.raise_request_exception = False
    rows = example_rows(world)
    operations: dict[tuple[str, str], list[InjectionPoint]] = {}
    for point in places_of(description):
        operations.setdefault((point.path, point.method), []).append(point)
    statuses, used, tested_points = Counter[int](), set[str](), set[InjectionPoint]()
    in_statements: list[str] = []
    wrong: dict[InjectionPoint, str] = {}
    with read_statements(in_statements):
        for places in operations.values():
            payloads = dice.sample(PAYLOADS, min(count, len(PAYLOADS)))
            dice.shuffle(places)
            for number, payload in enumerate(payloads):
                point = places[number % len(places)]
                text = payload.replace("{globex}", str(world.globex.id))
                resource = point.path.removeprefix("/api/v1/").partition("/{")[0].rstrip("/")
                answer = undone(lambda: ask(admin, world, point, text, rows.get(resource, {})))  # noqa: B023
                response = answer.content.decode()
                statuses[answer.status_code] += 1
                used.add(payload)
                tested_points.add(point)
                inside = INSIDES.search(response) if not ECHO.search(response) else None
                if answer.status_code >= 500 or inside:
                    wrong[point] = f"{text!r} -> {answer.status_code} {response[:300]}"
                if world.leaks(response, text):
                    wrong[point] = f"{text!r} leaks {world.leaks(response, text)}"
    told = ", ".join(f"{n} x {status}" for status, n in sorted(statuses.items()))
    send(
        "bar",
        f"injection: {len(used)} payloads, {len(tested_points)} parameters of {len(operations)} operations,"
        f" {sum(statuses.values())} cases: {told}; {len(wrong)} findings",
    )
    assert in_statements == []
    assert not wrong, "\n".join(f"{point}: {text}" for point, text in wrong.items())


def test_there_are_two_hundred():
    assert len(set(PAYLOADS)) == 200
    assert all(MARKER in payload for payload in PAYLOADS)


def test_a_few_in_every_operation(world, description, record_property):
    attack(world, description, 2, record_property)


@pytest.mark.long
def test_all_in_every_operation(world, description, record_property):
    attack(world, description, len(PAYLOADS), record_property)


def test_a_statement_made_of_a_parameter_would_be_found():
    leaks: list[str] = []
    with read_statements(leaks), connection.cursor() as cursor:
        cursor.execute(f"SELECT '{MARKER}'")

    assert len(leaks) == 1
