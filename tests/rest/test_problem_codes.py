"""docs/problems.md names every code that a REST answer may carry."""

import ast
from collections.abc import Iterator
from pathlib import Path

from apps.rest.problem_codes import FRAMEWORK_CODES, domain_errors, entries, render_page

PROJECT = Path(__file__).parents[2]
KEPT = PROJECT / "docs" / "problems.md"
RENEW = "python3 run.py manage problem_codes"
#: Calls with a literal code, in apps that answer REST.
RAISING = {"DomainError", "Conflict", "Forbidden", "NotVisible", "problem", "problem_page"}
RAISING |= {"AuthenticationFailed"}


def literal_codes() -> Iterator[tuple[str, str]]:
    """Codes that are written where something is raised, beside those of the classes."""
    names = RAISING | {error.__name__ for error in domain_errors()}
    for path in (PROJECT / "apps").rglob("*.py"):
        if "apps/ingest" in str(path) or "/web/" in str(path):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names:
                given = [k.value for k in node.keywords if k.arg == "code"]
                given += node.args[1:2] if node.func.id in RAISING - {"Forbidden"} else ()
                for value in given:
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        yield value.value, f"{path.name}:{node.lineno}"


def test_the_page_is_up_to_date():
    assert KEPT.read_text(encoding="utf-8") == render_page(), f"Out of date. Run: {RENEW}"


def test_every_error_says_when_it_is_raised():
    assert [error.__qualname__ for error in domain_errors() if not error.__doc__] == []
    assert len(entries()) >= 40


def test_a_code_that_is_written_in_place_is_on_the_page_too():
    listed = {entry.code for entry in entries()}
    found = {
        code: location for code, location in literal_codes() if code.replace("_", "").isalpha()
    }

    assert {code: location for code, location in found.items() if code not in listed} == {}
    assert found.keys() & FRAMEWORK_CODES.keys()
