"""Whatever the OpenAPI description allows to ask, and what it forbids, whoever asks: no 500, nothing of another tenant,
no inside of the program, and each answer is one that the description announces."""

import os
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest
from django.urls import Resolver404, resolve
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core import NotSet
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks as conforming

from tests.rest.undescribed import ask_undescribed, others_of, undescribed_fault
from tests.rest.world import CALLERS, INSIDES, World, undone, words_of

pytestmark = pytest.mark.django_db

SEED = int(os.environ.get("ISPVM_SEED", "20261125"))
#: Of the cases of a long run, so many are asked by methods that are not described, too.
BESIDE = 0.2
CHECKS = [
    not_a_server_error,
    conforming.status_code_conformance,
    conforming.content_type_conformance,
    conforming.response_headers_conformance,
    conforming.response_schema_conformance,
]
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
PATTERN = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


class Violations:
    """What was asked, what was answered, and what of it is wrong."""

    def __init__(
        self, world: World, described: Any, *, seed: int = SEED, beside: float = 1.0
    ) -> None:
        self.world = world
        self.seed, self.beside = seed, beside
        self.statuses: Counter[int] = Counter()
        self.wrong: dict[tuple[str, str], str] = {}
        self.operations: set[str] = set()
        #: Path -> the methods that the description names.
        self.described = {
            path: {method.upper() for method in methods}
            for path, methods in described.raw_schema["paths"].items()
        }

    def ask(self, operation: Any, caller: str, mode: GenerationMode, count: int) -> None:
        pairs = st.tuples(
            operation.as_strategy(generation_mode=mode), st.integers(0, 2**32).map(random.Random)
        )

        @seed(self.seed)
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(pair=pairs)
        def run(pair: tuple[Any, random.Random]) -> None:
            case, dice = pair
            place_ids(case, self.world, dice)
            answer = undone(lambda: case.call(headers=self.world.header(caller)))
            self.operations.add(operation.label)
            self.statuses[answer.status_code] += 1
            for fault, text in self.faults(case, answer, caller):
                self.wrong.setdefault((operation.label, fault), f"{caller}: {text}")
            if dice.random() < self.beside:
                for method in ("HEAD", "OPTIONS", dice.choice(others_of(operation))):
                    self.ask_beside(case, method, caller, described=answer.status_code)

        run()

    def ask_beside(self, case: Any, method: str, caller: str, *, described: int) -> None:
        """The same address and parameters by a method that the description does not name."""
        request_count = words_of([case.path_parameters, case.query])
        answer = undone(lambda: ask_undescribed(self.world, case, method, caller))
        label = f"{method} {case.path}"
        self.operations.add(label)
        self.statuses[answer.status_code] += 1
        text = answer.content.decode()
        fault = undescribed_fault(
            case,
            method,
            answer,
            methods=self.described.get(case.path, set()),
            status=described,
            is_nobody=caller == "nobody",
            is_there=is_path(case.formatted_path),
        )
        if self.world.leaks(text + str(answer.headers), request_count) or INSIDES.search(text):
            fault = "leak"
        if fault:
            response = f"{request_count[:300]} -> {answer.status_code} {text[:300]}"
            self.wrong.setdefault((label, fault), f"{caller}: {response}")

    def faults(self, case: Any, answer: Any, caller: str) -> list[tuple[str, str]]:
        text = answer.text
        request_count = words_of([case.path_parameters, case.query, str(case.body)])
        response = f"{case.method} {case.formatted_path} {request_count[:300]} -> {answer.status_code} {text[:500]}"
        violations = []
        if leaked := self.world.leaks(text, request_count):
            violations.append(("leak", f"{sorted(leaked)} in {response}"))
        if inside := INSIDES.search(text):
            violations.append(("inside", f"{inside[0]!r} in {response}"))
        if caller == "nobody" and answer.status_code != 401 and is_path(case.formatted_path):
            violations.append(("open", response))
        try:
            case.validate_response(answer, checks=checks_of(case))
        except FailureGroup as group:
            violations += [(f.title, f"{f.message[:400]} | {response}") for f in group.exceptions]
        return violations

    def conclude(self, who: str, send: Callable[[str, str], None]) -> None:
        request_count = sum(self.statuses.values())
        responses = ", ".join(
            f"{count} x {status}" for status, count in sorted(self.statuses.items())
        )
        send(
            "bar",
            f"OpenAPI description, {who}: {len(self.operations)} operations, {request_count} cases,"
            f" seed {self.seed}: {responses}; {len(self.wrong)} findings",
        )
        listed = [f"{label} {fault}: {text}" for (label, fault), text in self.wrong.items()]
        assert not listed, f"{len(listed)} findings:\n" + "\n".join(listed)


def is_path(text: str) -> bool:
    """Whether there is anything behind it: an id may be drawn that no path can hold."""
    try:
        resolve(unquote(text))
    except Resolver404:
        return False
    return True


def checks_of(case: Any) -> list[Any]:
    """An answer that was asked to leave fields out has not all that the description requires."""
    if "fields" in (case.query or {}):
        return [check for check in CHECKS if check is not conforming.response_schema_conformance]
    return CHECKS


def place_ids(case: Any, world: World, dice: random.Random) -> None:
    """Most random ids name nothing: put ids of rows that there are, ours and theirs, in their place."""
    resource = case.path.removeprefix("/api/v1/").partition("/{")[0]
    for name in case.path_parameters or ():
        if resource in world.own and dice.random() < 0.8:
            theirs = dice.random() < 0.2
            case.path_parameters[name] = str((world.foreign if theirs else world.own)[resource])
    if case.headers and dice.random() < 0.8:
        case.headers.pop("If-Match", None)
    pool = [*world.own.values(), *world.foreign.values()]
    if isinstance(case.query, dict):
        case.query = _placed(case.query, pool, dice)
    if not isinstance(case.body, NotSet):
        case.body = _placed(case.body, pool, dice)


def _placed(value: Any, pool: list[UUID], dice: random.Random) -> Any:
    if isinstance(value, dict):
        return {name: _placed(inner, pool, dice) for name, inner in value.items()}
    if isinstance(value, list):
        return [_placed(inner, pool, dice) for inner in value]
    if isinstance(value, str) and PATTERN.fullmatch(value) and dice.random() < 0.8:
        return str(dice.choice(pool))
    return value


def operations_of(described: Any) -> list[Any]:
    return [result.ok() for result in described.get_all_operations()]


def test_a_few_cases_of_every_operation(described, world, record_property):
    findings = Violations(world, described)
    for number, operation in enumerate(operations_of(described)):
        findings.ask(operation, "admin", MODES[0], 1)
        findings.ask(operation, CALLERS[number % 4], MODES[number // 4 % 2], 1)

    findings.conclude("a few of every operation", record_property)
    assert len(findings.operations) >= 90


@pytest.mark.long
@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("caller", CALLERS)
def test_many_cases_of_every_operation(described, world, record_property, caller, number):
    count = int(os.environ.get("ISPVM_CASES", "10"))
    findings = Violations(world, described, seed=SEED + number, beside=BESIDE)
    for operation in operations_of(described):
        for mode in MODES:
            findings.ask(operation, caller, mode, count if caller != "nobody" else count // 5)

    findings.conclude(f"as {caller}", record_property)


class TestTheFindingsCanBeFound:
    """Each of the checks above, on an answer that is wrong."""

    @pytest.fixture
    def findings(self, world, described) -> Violations:
        return Violations(world, described)

    def ask(self, findings, described, body: str, status: int = 200) -> set[str]:
        operation = next(o for o in operations_of(described) if o.label == "GET /api/v1/me/")
        described.app.inner = answering(status, body)
        findings.ask(operation, "admin", MODES[0], 1)
        return {fault for _, fault in findings.wrong}

    def test_a_word_of_another_tenant(self, findings, described):
        assert "leak" in self.ask(findings, described, '{"x": "Globex Fibre"}')

    def test_a_traceback(self, findings, described):
        assert "inside" in self.ask(findings, described, '{"x": "models.py"}')

    def test_a_server_error_and_an_answer_of_another_shape(self, findings, described):
        assert "Server error" in self.ask(findings, described, "{}", 500)
        assert "Response violates schema" in self.ask(findings, described, "{}")


def answering(status: int, body: str) -> Any:
    def app(environ: Any, start: Any) -> list[bytes]:
        start(f"{status} X", [("Content-Type", "application/json")])
        return [body.encode()]

    return app
