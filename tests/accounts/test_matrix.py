"""Every REST endpoint x method x caller x whose row: the answer follows from what the endpoint declares.

Nothing here is written per endpoint: the paths come from the URL resolver, the expectation from ``permission_map``
and the role table, the rows from ``tests.accounts.rows``.
"""

import random
import re
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from django.db import transaction
from rest_framework.serializers import PrimaryKeyRelatedField
from rest_framework.test import APIClient

from apps.authorization.choices import Role
from apps.authorization.permissions import ROLE_TABLE, Permission
from apps.tenancy import acting_in
from tests.accounts.operators import make_operator
from tests.accounts.rows import NESTED, PERSONAL, ROWS
from tests.accounts.test_access_table import REST, actions_of, class_of
from tests.clients import bearer

pytestmark = pytest.mark.django_db

ID = re.compile(r"\(\?P<(?P<name>\w+)>[^)]*\)")
ABSENT = UUID("00000000-0000-4000-8000-000000000000")
#: Who has no tenant's right at all: a platform operator who broke no glass, an agent with its certificate, nobody.
PLATFORM, AGENT = "platform operator", "agent"
CALLERS = (*Role, PLATFORM, AGENT, None)
RELATIONS = ("foreign", "absent", "nonsense", "own")
#: What changes from one answer to the next, whoever asks.
PASSING_HEADERS = {"Date", "X-Request-ID", "X-Request-Id"}
#: What a caller with the right may be answered to an empty body about an existing row.
DONE_OR_FAULTY = {200, 201, 202, 204, 400, 409, 422}
#: Actions about a part that the row in ``rows`` has none of.
WITHOUT_A_PART = {"replay"}


CERTIFICATE_HEADERS = dict.fromkeys(
    ("X-ISPVM-Client-Certificate", "X-SSL-Client-Cert", "X-Client-Cert", "X-SSL-Client-Verify"),
    "SUCCESS",
)


class Case(NamedTuple):
    path: str
    method: str
    action: str
    permission: Permission
    view: type

    @property
    def names(self) -> list[str]:
        return [found["name"] for found in ID.finditer(self.path)]

    @property
    def resource(self) -> str:
        """The resource that the first id of the path belongs to."""
        plain = self.path.removeprefix("api/v1/").replace("^", "").partition("/(")[0]
        return plain.removesuffix("/$")

    def url(self, ids: dict[str, Any]) -> str:
        path = ID.sub(lambda found: str(ids[found["name"]]), self.path)
        return "/" + path.replace("^", "").replace("$", "")


def _cases() -> list[Case]:
    cases = []
    for path, entry in REST:
        view: Any = class_of(entry)
        actions = getattr(entry.callback, "actions", None) or {a: a for a in actions_of(entry)}
        cases += [Case(path, m, a, view.permission_map[a], view) for m, a in actions.items()]
    return [case for case in cases if isinstance(case.permission, Permission)]


CASES = _cases()
ROWWISE = [case for case in CASES if case.names]
LISTWISE = [case for case in CASES if not case.names]


def case_name(case: Case) -> str:
    return f"{case.method} {case.path}"


class Company(NamedTuple):
    """Both tenants with members of every role."""

    tenants: dict[str, Any]
    callers: dict[Role | str | None, APIClient]

    def ids(self, case: Case, relation: str) -> dict[str, Any]:
        if relation in {"absent", "nonsense"}:
            return dict.fromkeys(case.names, ABSENT if relation == "absent" else "nonsense")
        with acting_in(self.tenants[relation]):
            nested = {name: NESTED[name]() for name in case.names if name != "pk"}
            return {"pk": ROWS[case.resource](), **nested}


@pytest.fixture
def company(
    acme, globex, acme_admin, acme_noc, acme_readonly, acme_auditor, globex_admin
) -> Company:
    people = (acme_admin, acme_noc, acme_readonly, acme_auditor)
    callers: dict[Role | str | None, APIClient] = {
        Role(user.memberships.get().role): bearer(acme, user) for user in people
    }
    callers[None] = APIClient()
    callers[PLATFORM] = APIClient()
    callers[PLATFORM].force_login(make_operator())
    # As a proxy tells of a certificate: people's side of the house reads no such header.
    callers[AGENT] = APIClient(headers=CERTIFICATE_HEADERS)
    for client in callers.values():
        client.raise_request_exception = False
    return Company({"own": acme, "foreign": globex}, callers)


def ask(client: APIClient, case: Case, url: str, body: Any = None) -> Any:
    """The response; its changes are rolled back."""
    with transaction.atomic():
        kwargs = {} if case.method == "get" else {"data": body or {}, "format": "json"}
        answer = getattr(client, case.method)(url, **kwargs)
        transaction.set_rollback(True)
    return answer


def outcome(answer: Any) -> tuple[Any, ...]:
    """The status and body that a caller sees."""
    headers = {name: v for name, v in answer.headers.items() if name not in PASSING_HEADERS}
    return answer.status_code, answer.content, headers


def refusal(caller: Role | str | None, permission: Permission) -> int | None:
    if caller not in set(Role):
        return 401
    return None if permission in ROLE_TABLE[caller] else 403


@pytest.mark.parametrize("case", ROWWISE, ids=case_name)
def test_access_to_rows(company, case):
    urls = {relation: case.url(company.ids(case, relation)) for relation in RELATIONS}

    for caller, client in company.callers.items():
        answers = {relation: ask(client, case, url) for relation, url in urls.items()}

        refused = refusal(caller, case.permission)
        strange = {outcome(answers[r])[0] for r in ("foreign", "absent", "nonsense")}
        assert strange == {refused or 404}, caller
        assert (
            outcome(answers["foreign"])
            == outcome(answers["absent"])
            == outcome(answers["nonsense"])
        )
        is_anothers = case.resource in PERSONAL and caller is not Role.ADMIN
        if refused or is_anothers:
            assert outcome(answers["own"]) == outcome(answers["absent"]), caller
        elif case.method == "get":
            assert answers["own"].status_code == 200, (caller, answers["own"].content)
        elif case.action not in WITHOUT_A_PART:
            assert answers["own"].status_code in DONE_OR_FAULTY, (caller, answers["own"].content)


@pytest.mark.parametrize("case", LISTWISE, ids=case_name)
def test_access_to_lists(company, case):
    with acting_in(company.tenants["foreign"]):
        foreign_ids = {str(make()) for make in ROWS.values()}
    is_list = case.resource in ROWS and case.method == "get"
    own = ""
    if is_list:
        with acting_in(company.tenants["own"]):
            own = str(ROWS[case.resource]())

    for caller, client in company.callers.items():
        answer = ask(client, case, case.url({}))

        refused = refusal(caller, case.permission)
        if refused:
            assert answer.status_code == refused, caller
            continue
        assert answer.status_code in DONE_OR_FAULTY, (caller, answer.content)
        text = answer.content.decode()
        is_anothers = case.resource in PERSONAL and caller is not Role.ADMIN
        assert (own in text) is not is_anothers, caller
        assert not [pk for pk in foreign_ids if pk in text], caller


def _references() -> list[tuple[Case, str]]:
    """Every request field that references another row."""
    found = []
    for case in CASES:
        shape = getattr(case.view, "serializer_class", None)
        if shape and case.action in {"create", "update", "partial_update"}:
            found += [
                (case, name)
                for name, field in shape().fields.items()
                if isinstance(field, PrimaryKeyRelatedField) and not field.read_only
            ]
    return found


REFERENCES = _references()


@pytest.mark.parametrize(
    ("case", "field"), REFERENCES, ids=[f"{case_name(case)} {field}" for case, field in REFERENCES]
)
def test_another_tenants_id_in_a_body_equals_an_unknown_id(company, case, field):
    admin = company.callers[Role.ADMIN]
    own_url = case.url(company.ids(case, "own") if case.names else {})
    target = case.view.serializer_class().fields[field].queryset.model
    with acting_in(company.tenants["foreign"]):
        for make in ROWS.values():
            make()
        foreign = target._default_manager.first().pk

    answers = [ask(admin, case, own_url, {field: str(pk)}) for pk in (foreign, ABSENT)]

    assert [a.status_code for a in answers] == [400, 400]
    assert field in {error["field"] for error in answers[0].json()["errors"]}
    bodies = [answers[0].content.replace(str(foreign).encode(), str(ABSENT).encode())]
    assert bodies == [answers[1].content]


FILTERS = [
    (case, name)
    for case in LISTWISE
    if case.method == "get"
    for name in getattr(case.view, "filters", {})
]


@pytest.mark.parametrize(
    ("case", "name"), FILTERS, ids=[f"{case.path}?{name}" for case, name in FILTERS]
)
def test_another_tenants_id_in_a_query_equals_an_unknown_id(company, case, name):
    admin = company.callers[Role.ADMIN]
    with acting_in(company.tenants["foreign"]):
        foreign = [make() for make in ROWS.values()]

    absent = ask(admin, case, f"{case.url({})}?{name}={ABSENT}")

    for pk in foreign:
        assert outcome(ask(admin, case, f"{case.url({})}?{name}={pk}")) == outcome(absent)


def request_with_wrong_kinds(company: Company, case: Case, kinds: list[str]) -> int:
    """Request another tenant's rows of wrong kinds; returns the number of requests."""
    with acting_in(company.tenants["foreign"]):
        foreign_ids = {kind: ROWS[kind]() for kind in kinds}
    askers = [Role.ADMIN, Role.READONLY]
    for caller in askers:
        client = company.callers[caller]
        absent = outcome(ask(client, case, case.url(dict.fromkeys(case.names, ABSENT))))
        for kind, pk in foreign_ids.items():
            response = outcome(ask(client, case, case.url(dict.fromkeys(case.names, pk))))
            assert response == absent, (case.path, caller, kind)
    return len(askers) * len(foreign_ids)


def test_another_tenants_id_of_another_kind_equals_an_unknown_id(company):
    """A random sample; repeated runs cover all combinations."""
    rng = random.SystemRandom()

    for case in rng.sample(ROWWISE, 8):
        assert request_with_wrong_kinds(company, case, rng.sample(sorted(ROWS), 3))


@pytest.mark.long
def test_no_other_tenants_id_of_any_kind_gives_access(company, record_property):
    sent = sum(request_with_wrong_kinds(company, case, sorted(ROWS)) for case in ROWWISE)

    filters = len(FILTERS) * (len(ROWS) + 1)
    total = decisions() + sent + filters + 2 * len(REFERENCES)
    assert total >= 8_000
    record_property("bar", f"T5: {total} decisions over {len(CASES)} endpoints, 0 wrong")


def decisions() -> int:
    return len(ROWWISE) * len(CALLERS) * len(RELATIONS) + len(LISTWISE) * len(CALLERS)


def test_every_resource_has_a_row(record_property):
    missing = {case.resource for case in ROWWISE} - ROWS.keys()

    assert missing == set(), "a new endpoint needs a row in tests/accounts/rows.py"
    record_property(
        "bar",
        f"T5: {decisions()} decisions in every run ({len(CASES)} endpoints, {len(CALLERS)} callers),"
        f" {len(REFERENCES)} references, {len(FILTERS)} filters",
    )
    assert len(CASES) >= 90
    assert decisions() >= 1000
