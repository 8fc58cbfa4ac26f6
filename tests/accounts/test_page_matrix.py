"""Every page x method x caller x whose row: the answer follows from the permission that the page declares.

As for REST (``test_matrix``), nothing is written per page.
"""

import re
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from django.test import Client

from apps.accounts.models import Membership, User
from apps.authorization.choices import Role
from apps.authorization.permissions import LIMITED_PERMISSIONS, ROLE_TABLE, Permission
from apps.tenancy import acting_in
from tests.accounts.rows import PAGE_RESOURCES, ROWS
from tests.accounts.test_access_table import PAGES
from tests.accounts.test_matrix import ABSENT, PASSING_HEADERS
from tests.clients import signed_in

pytestmark = pytest.mark.django_db

ID = re.compile(r"<uuid:(\w+)>")
LIMITED = "limited"
CALLERS = (*Role, LIMITED, None)
RELATIONS = ("own", "outside", "foreign", "absent")
METHODS = ("get", "post")
#: Differs in every answer by design, whatever is asked.
CSRF = re.compile(rb'name="csrfmiddlewaretoken" value="\w+"')
DONE = {200, 204, 302, 304, 400, 409, 422}


class Page(NamedTuple):
    path: str
    permission: Permission

    @property
    def names(self) -> list[str]:
        return ID.findall(self.path)

    def url(self, pk: Any = None) -> str:
        return "/" + ID.sub(str(pk), self.path)


GUARDED = [
    Page(path, entry.callback.page_permission)
    for path, entry in PAGES
    if hasattr(entry.callback, "page_permission")
    # Each admin page checks two permissions: see test_admin_matrix.
    and not path.startswith("admin/")
]
ROWWISE = [page for page in GUARDED if page.names]
LISTWISE = [page for page in GUARDED if not page.names]


def outcome(answer: Any, pk: Any = ABSENT) -> tuple[Any, ...]:
    """The status and body that a caller sees, without the requested id."""
    headers = {
        name: v.replace(str(pk), str(ABSENT))
        for name, v in answer.headers.items()
        if name not in PASSING_HEADERS
    }
    shown = CSRF.sub(b"", answer.content).replace(str(pk).encode(), str(ABSENT).encode())
    return answer.status_code, shown, headers


def whole(answer: Any) -> bytes:
    """The whole response body, of streamed files too."""
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def ask(client: Client, method: str, url: str) -> Any:
    """The response; its changes are rolled back."""
    with transaction.atomic():
        answer = getattr(client, method)(url)
        transaction.set_rollback(True)
    return answer


@pytest.fixture
def callers(
    acme, acme_admin, acme_noc, acme_readonly, acme_auditor, globex_admin
) -> dict[Any, Client]:
    limited = User.objects.create_user("limited@acme.example", None)
    Membership.objects.create(tenant=acme, user=limited, role=Role.NOC, is_limited=True)
    people = {
        **dict(zip((Role.ADMIN, Role.NOC), (acme_admin, acme_noc), strict=True)),
        **dict(zip((Role.READONLY, Role.AUDITOR), (acme_readonly, acme_auditor), strict=True)),
        LIMITED: limited,
    }
    return {None: Client()} | {
        name: signed_in(Client(raise_request_exception=False), user)
        for name, user in people.items()
    }


def refusal(caller: Any, permission: Permission) -> int | None:
    if caller is None:
        return 302
    held = LIMITED_PERMISSIONS & ROLE_TABLE[Role.NOC] if caller == LIMITED else ROLE_TABLE[caller]
    return None if permission in held else 403


def allowed(callers: dict[Any, Client], url: str) -> list[str]:
    """The methods that a page allows, requested as an admin."""
    return [m for m in METHODS if ask(callers[Role.ADMIN], m, url).status_code != 405]


@pytest.mark.parametrize("page", ROWWISE, ids=lambda page: page.path)
def test_access_to_rows(acme, globex, callers, page):
    make = ROWS[PAGE_RESOURCES[page.path.partition("/")[0]]]
    with acting_in(globex):
        foreign = make()
    with acting_in(acme):
        own = make()

    for method in allowed(callers, page.url(own)):
        for caller, client in callers.items():
            pks = {"own": own, "foreign": foreign, "absent": ABSENT}
            answers = {r: outcome(ask(client, method, page.url(pk)), pk) for r, pk in pks.items()}

            refused = refusal(caller, page.permission)
            assert answers["foreign"] == answers["absent"], caller
            assert answers["absent"][0] == (refused or 404), caller
            if refused or caller == LIMITED:  # who was granted nothing: all of it is outside
                assert answers["own"] == answers["absent"], caller
            else:
                assert answers["own"][0] in DONE, (caller, answers["own"])


@pytest.mark.parametrize("page", LISTWISE, ids=lambda page: page.path)
def test_access_to_pages_without_id(acme, globex, callers, page):
    with acting_in(globex):
        foreign_ids = {str(make()) for make in ROWS.values()}
    with acting_in(acme):
        ours = {str(make()) for name, make in ROWS.items() if name not in {"users", "alert-rules"}}

    for method in allowed(callers, page.url()):
        for caller, client in callers.items():
            answer = ask(client, method, page.url())

            refused = refusal(caller, page.permission)
            assert answer.status_code == refused if refused else answer.status_code in DONE, caller
            text = whole(answer).decode()
            hidden = foreign_ids | ours if caller == LIMITED else foreign_ids
            assert not [pk for pk in hidden if pk in text], caller


def test_every_page_with_an_id_has_a_row(record_property):
    missing = {page.path.partition("/")[0] for page in ROWWISE} - PAGE_RESOURCES.keys()
    decisions = len(CALLERS) * (len(ROWWISE) * len(RELATIONS) + len(LISTWISE))

    assert missing == set(), "a new page needs a row in tests/accounts/rows.py"
    assert ROWWISE
    assert LISTWISE
    record_property("bar", f"T5 pages: {len(GUARDED)} pages, at least {decisions} decisions")
