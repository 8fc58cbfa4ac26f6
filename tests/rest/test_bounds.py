"""Whatever a request may hold many of has a maximum: it is in the description, and one more is refused with a code."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.rest.parsing import MAX_ITEMS, MAX_PARAMETER_LENGTH, MAX_VALUES
from tests.clients import problem

pytestmark = pytest.mark.django_db

FORMATS = {"uuid", "date-time", "date", "uri", "email", "double", "decimal"}
#: Values of a rule document may be anything that the limits of the whole body allow; the compiler knows the fields.
FREE = {("ImportRequest", "rules", "[]", "*")}
#: Sessions of platform operators alone, in no tenant.
ELSEWHERE = "/api/v1/platform/"

Path = tuple[str, ...]


def resolved(description: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Without references, and with what ``allOf`` puts together."""
    if "$ref" in schema:
        return resolved(
            description, description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        )
    for part in schema.get("allOf", ()):
        schema = {**schema, **resolved(description, part)}
    options = [resolved(description, o) for o in schema.get("oneOf", ())]
    named = [option for option in options if option.get("enum") != [None]]
    return {**schema, **named[0]} if named else schema


def parts(
    description: dict[str, Any], schema: dict[str, Any], path: Path
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every schema inside of a schema, with the way there: names, ``[]`` for items, ``*`` for free members."""
    schema = resolved(description, schema)
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from parts(description, inner, (*path, name))
    if "items" in schema:
        yield from parts(description, schema["items"], (*path, "[]"))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from parts(description, schema["additionalProperties"], (*path, "*"))


def bodies(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Method, path, schema and its name of every request body."""
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            for kind in content.values():
                yield (
                    method,
                    path,
                    kind["schema"],
                    kind["schema"].get("$ref", "").rpartition("/")[2],
                )


def parameters(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                yield method, path, parameter


def bound_of(schema: dict[str, Any]) -> int | None:
    """The maximum of a schema; None where it lacks one."""
    kind = schema.get("type")
    if kind == "array":
        return schema.get("maxItems")
    if kind == "object":
        return schema.get("maxProperties", len(schema.get("properties", {})) or None)
    if kind == "string":
        is_closed = "enum" in schema or schema.get("format") in FORMATS
        return schema.get("maxLength", 100 if is_closed else None)
    return 0 if kind in {"integer", "number", "boolean"} or "enum" in schema else None


class TestDescription:
    def test_every_part_of_every_body_has_a_maximum(self, description):
        violations = {
            (name, *path): bound_of(schema)
            for _, _, body, name in bodies(description)
            for path, schema in parts(description, body, ())
        }

        assert len(violations) > 150
        assert {path for path, bound in violations.items() if bound is None} - FREE == set()

    def test_every_parameter_has_a_maximum(self, description):
        violations = {
            (path, method, parameter["name"]): bound_of(parameter["schema"])
            for method, path, parameter in parameters(description)
        }

        assert len(violations) > 300
        assert {locations for locations, bound in violations.items() if bound is None} == set()


def sample(description: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Something of this type; whether it means anything does not matter, its length is looked at first."""
    schema = resolved(description, schema)
    if "enum" in schema:
        return schema["enum"][0]
    kind, form = schema.get("type"), schema.get("format")
    if kind == "object":
        return {
            name: sample(description, inner) for name, inner in schema.get("properties", {}).items()
        }
    if kind == "array":
        return []
    if kind == "string":
        return {"uuid": "00000000-0000-4000-8000-000000000000"}.get(form, "x")
    return {"boolean": True}.get(kind, 1)


def one_more(description: dict[str, Any], schema: dict[str, Any]) -> Any:
    """One item, member or character over the maximum; None where there is none to go over."""
    kind = schema.get("type")
    if kind == "array" and "maxItems" in schema:
        return [sample(description, schema["items"])] * (schema["maxItems"] + 1)
    if kind == "object" and "maxProperties" in schema:
        return {f"x{number}": "x" for number in range(schema["maxProperties"] + 1)}
    if kind == "string" and "maxLength" in schema and "enum" not in schema:
        return "x" * (schema["maxLength"] + 1)
    return None


def at(path: Path, value: Any) -> Any:
    """A body that holds this value at this place and nothing else."""
    for step in reversed(path):
        value = [value] if step == "[]" else {"x" if step == "*" else step: value}
    return value


def url_of(path: str, world: Any) -> str | None:
    """The address of a row that there is; None where the world has none."""
    head, violations, tail = path.removeprefix("/api/v1/").partition("/{id}")
    if not violations:
        return path if "{" not in path else None
    return (
        f"/api/v1/{head}/{world.own[head]}{tail}" if head in world.own and "{" not in tail else None
    )


def test_one_more_than_each_maximum_of_each_body_is_refused(description, world):
    client, wrong, params = world.clients["admin"], [], set()
    for method, path, body, _ in bodies(description):
        url = None if path.startswith(ELSEWHERE) else url_of(path, world)
        for location, schema in parts(description, body, ()):
            value = one_more(description, schema)
            if url is None or not location or value is None:
                continue
            answer = getattr(client, method)(url, at(location, value), format="json")
            code = answer.json().get("code") if answer.status_code >= 400 else None
            named = [error["field"] for error in answer.json().get("errors", ())] if code else []
            is_named = any(field.startswith(location[0]) for field in named)
            if not (code == "body_too_complex" or (answer.status_code == 400 and is_named)):
                wrong.append(
                    f"{method} {path} {'.'.join(location)}: {answer.status_code} {answer.content[:200]}"
                )
            params.add((method, path, location))

    assert wrong == []
    assert len(params) > 100


def test_a_parameter_that_is_too_long_is_refused(description, world):
    client, wrong, params = world.clients["admin"], [], 0
    for method, path, parameter in parameters(description):
        if parameter["in"] == "path" or path.startswith(ELSEWHERE):
            continue
        bound = parameter["schema"].get("maxLength")
        url = url_of(path, world)
        if url is None or bound is None or "enum" in parameter["schema"]:
            continue
        text = "x" * (bound + 1)
        is_query = parameter["in"] == "query"
        answer = client.generic(
            method,
            f"{url}?{parameter['name']}={text}" if is_query else url,
            headers={} if is_query else {parameter["name"]: text},
        )
        params += 1
        if problem(answer)[0] != 400:
            wrong.append(f"{method} {path} {parameter['name']}: {answer.status_code}")

    assert wrong == []
    assert params > 100


class TestWholeBodies:
    SITES = "/api/v1/sites/"

    @pytest.mark.parametrize(
        "body",
        [
            {"name": [0] * (MAX_ITEMS + 1)},
            {"name": {str(number): 0 for number in range(MAX_ITEMS + 1)}},
            [[0] * MAX_ITEMS for _ in range(MAX_VALUES // MAX_ITEMS)],
        ],
        ids=["a long list", "a wide object", "many values"],
    )
    def test_of_too_many_values_are_refused_before_their_fields_are_looked_at(self, world, body):
        answer = world.clients["admin"].post(self.SITES, body, format="json")

        assert problem(answer) == (400, "body_too_complex")

    def test_at_the_limit_is_the_fields_own_business(self, world):
        answer = world.clients["admin"].post(self.SITES, {"name": [0] * MAX_ITEMS}, format="json")

        assert problem(answer) == (400, "invalid")


def test_a_list_of_rows_costs_no_query_beyond_its_maximum(world, django_assert_max_num_queries):
    client, device = world.clients["admin"], world.own["devices"]
    url = f"/api/v1/devices/{device}/credentials/"
    ids = ["00000000-0000-4000-8000-000000000000"] * 9_000
    with django_assert_max_num_queries(20):
        answer = client.put(url, {"credential_sets": ids}, format="json")

    assert problem(answer) == (400, "invalid")
    assert [e["code"] for e in answer.json()["errors"]] == ["max_length"]


def test_if_match_has_a_maximum(world):
    url = f"/api/v1/sites/{world.own['sites']}/"
    answer = world.clients["admin"].delete(
        url, headers={"If-Match": "x" * (MAX_PARAMETER_LENGTH + 1)}
    )

    assert problem(answer) == (400, "invalid")
