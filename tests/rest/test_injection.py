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

MARK = "zq9x"  # in every payload, in no statement
OPENINGS = ("'", '"', "')", "'))", "0", "\\'", "%27", "';", "$$", "x' ")
ENDINGS = (
    f"OR 1=1--{MARK}",
    f"OR '{MARK}'='{MARK}",
    f"; SELECT pg_sleep(5)--{MARK}",
    f"|| (SELECT pg_sleep(5))::text || '{MARK}",
    f"UNION SELECT NULL, NULL, current_user /*{MARK}*/--",
    f"UNION ALL SELECT digest::text FROM accounts_apitoken WHERE '{MARK}'<>''--",
    f"; SELECT set_config('ispvm.tenant_id', '{{globex}}', false)--{MARK}",
    f"AND (SELECT set_config('ispvm.tenant_id','{{globex}}',true)) IS NOT NULL--{MARK}",
    f"; SET row_security = off; SELECT 1--{MARK}",
    f"; RESET ROLE; SET ROLE ispvm_owner--{MARK}",
    f"; DROP TABLE inventory_site CASCADE--{MARK}",
    f"; TRUNCATE inventory_device--{MARK}",
    f"; UPDATE accounts_membership SET role='admin' WHERE '{MARK}'<>''--",
    f"; COPY inventory_site TO PROGRAM 'id {MARK}'--",
    f"AND 1=CAST((SELECT version()) AS int) /*{MARK}*/--",
    f"AND (SELECT 1 FROM pg_shadow LIMIT 1)=1 /*{MARK}*/--",
    f"LIMIT 1 OFFSET (SELECT count(*) FROM pg_class) --{MARK}",
    f"%' ESCAPE '\\' OR name LIKE '%{MARK}",
    f"{{{{{MARK}}}}} %s %(x)s %d ${{1}} :1 ? --",
    f"\u02bc OR 1=1 -- \uff07{MARK}\u2019",
)
#: An answer that names what was sent holds its words.
ECHO = re.compile(MARK, re.IGNORECASE)
PAYLOADS = [f"{opening} {ending}" for opening in OPENINGS for ending in ENDINGS]


class Place(NamedTuple):
    """One parameter of one operation."""

    path: str
    method: str
    where: str
    name: str


def places_of(description: dict[str, Any]) -> list[Place]:
    found = []
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            given = operation.get("parameters", ())
            found += [Place(path, method, p["in"], p["name"]) for p in given]
            found += [Place(path, method, "body", n) for n in fields_of(description, operation)]
            found.append(Place(path, method, "query", f"{MARK} OR 1=1"))
    return found


def fields_of(description: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return list(description["components"]["schemas"].get(name, {}).get("properties", ()))


def ask(client: APIClient, world: World, place: Place, text: str, shown: dict[str, Any]) -> Any:
    resource = place.path.removeprefix("/api/v1/").partition("/{")[0]
    ids = {"id": str(world.own.get(resource, "x")), "override_id": "x"}
    if place.where == "path":
        ids[place.name] = quote(text, safe="")
    url = place.path
    for name, value in ids.items():
        url = url.replace(f"{{{name}}}", value)
    if place.where == "query":
        url += f"?{quote(place.name)}={quote(text)}"
    given: dict[str, Any] = {}
    if place.method != "get":
        body = {**shown, "name": "new", place.name: text} if place.where == "body" else shown
        given = {"data": body, "format": "json"}
    if place.where == "header":
        given["headers"] = {place.name: text.encode("ascii", "replace").decode()}
    return getattr(client, place.method)(url, **given)


@contextmanager
def read_statements(found: list[str]) -> Iterator[None]:
    """Collect the statements with a word of a payload in them."""

    def reading(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if MARK in str(sql):
            found.append(str(sql)[:300])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(reading):
        yield


def example_rows(world: World) -> dict[str, dict[str, Any]]:
    """What a GET shows of one row of each resource: bodies that are good but for one field."""
    admin = world.clients["admin"]
    answers = {path: admin.get(f"/api/v1/{path}/{pk}/") for path, pk in world.own.items()}
    return {path: answer.json() for path, answer in answers.items() if answer.status_code == 200}


def attack(
    world: World, description: dict[str, Any], count: int, tell: Callable[[str, str], None]
) -> None:
    """``count`` payloads into every operation, shared among its parameters."""
    dice = random.Random(int(os.environ.get("ISPVM_SEED", "17")))
    admin = world.clients["admin"]
    admin.raise_request_exception = False
    rows = example_rows(world)
    operations: dict[tuple[str, str], list[Place]] = {}
    for place in places_of(description):
        operations.setdefault((place.path, place.method), []).append(place)
    statuses, used, asked_places = Counter[int](), set[str](), set[Place]()
    in_statements: list[str] = []
    wrong: dict[Place, str] = {}
    with read_statements(in_statements):
        for places in operations.values():
            payloads = dice.sample(PAYLOADS, min(count, len(PAYLOADS)))
            dice.shuffle(places)
            for number, payload in enumerate(payloads):
                place = places[number % len(places)]
                text = payload.replace("{globex}", str(world.globex.id))
                resource = place.path.removeprefix("/api/v1/").partition("/{")[0].rstrip("/")
                answer = undone(lambda: ask(admin, world, place, text, rows.get(resource, {})))  # noqa: B023
                shown = answer.content.decode()
                statuses[answer.status_code] += 1
                used.add(payload)
                asked_places.add(place)
                inside = INSIDES.search(shown) if not ECHO.search(shown) else None
                if answer.status_code >= 500 or inside:
                    wrong[place] = f"{text!r} -> {answer.status_code} {shown[:300]}"
                if world.leaks(shown, text):
                    wrong[place] = f"{text!r} leaks {world.leaks(shown, text)}"
    told = ", ".join(f"{n} x {status}" for status, n in sorted(statuses.items()))
    tell(
        "bar",
        f"injection: {len(used)} payloads, {len(asked_places)} parameters of {len(operations)} operations,"
        f" {sum(statuses.values())} cases: {told}; {len(wrong)} findings",
    )
    assert in_statements == []
    assert not wrong, "\n".join(f"{place}: {text}" for place, text in wrong.items())


def test_there_are_two_hundred():
    assert len(set(PAYLOADS)) == 200
    assert all(MARK in payload for payload in PAYLOADS)


def test_a_few_in_every_operation(world, description, record_property):
    attack(world, description, 2, record_property)


@pytest.mark.long
def test_all_in_every_operation(world, description, record_property):
    attack(world, description, len(PAYLOADS), record_property)


def test_a_statement_made_of_a_parameter_would_be_found():
    found: list[str] = []
    with read_statements(found), connection.cursor() as cursor:
        cursor.execute(f"SELECT '{MARK}'")

    assert len(found) == 1
