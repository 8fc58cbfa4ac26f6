"""The access matrix for callers who are narrowed: limited members without a grant, tokens with scopes."""

import pytest
from rest_framework.test import APIClient

from apps.accounts.models import Membership
from apps.accounts.services import issue_token
from apps.authorization.choices import Role
from apps.authorization.permissions import LIMITED_PERMISSIONS, ROLE_TABLE, Permission
from apps.tenancy import acting_in
from tests.accounts.rows import PERSONAL, ROWS, WHO
from tests.accounts.test_matrix import (  # noqa: F401  (the fixture)
    CASES,
    DONE_OR_FAULTY,
    LISTWISE,
    ROWWISE,
    Case,
    ask,
    case_name,
    company,
    outcome,
)
from tests.clients import bearer

pytestmark = pytest.mark.django_db

#: About the tenant as a whole: a limited member sees them too.
OF_THE_WHOLE = {"alert-rules", "tenants"}
NAMES_THE_WHOLE = {"overrides"}


@pytest.fixture
def limited(acme, acme_noc) -> APIClient:
    Membership.objects.filter(user=acme_noc).update(is_limited=True)
    return bearer(acme, acme_noc)


def may(case: Case) -> bool:
    return case.permission in LIMITED_PERMISSIONS & ROLE_TABLE[Role.NOC]


@pytest.mark.parametrize("case", ROWWISE, ids=case_name)
def test_without_a_grant_no_row_is_found(company, limited, case):
    own, absent = (
        outcome(ask(limited, case, case.url(company.ids(case, relation))))
        for relation in ("own", "absent")
    )

    refused = not may(case) or case.action in NAMES_THE_WHOLE
    assert absent[0] == (403 if refused else 404)
    if not refused and case.resource in OF_THE_WHOLE:
        assert own[0] == 200
    else:
        assert own == absent


@pytest.mark.parametrize("case", LISTWISE, ids=case_name)
def test_without_a_grant_lists_are_empty(company, limited, case):
    with acting_in(company.tenants["own"]):
        rows = [str(make()) for name, make in ROWS.items() if name not in OF_THE_WHOLE | {"users"}]

    answer = ask(limited, case, case.url({}))

    if may(case):
        assert answer.status_code in DONE_OR_FAULTY
        assert not [pk for pk in rows if pk in answer.content.decode()]
    else:
        assert answer.status_code == 403


@pytest.mark.parametrize("scope", [Permission.SELF, Permission.INVENTORY_VIEW])
def test_a_token_is_limited_to_its_scopes(company, acme, acme_admin, scope):
    _, text = issue_token(tenant=acme, user=acme_admin, name="x", scopes=[scope], **WHO)
    program = APIClient(headers={"Authorization": f"Bearer {text}"})
    for case in CASES:
        url = case.url(company.ids(case, "own") if case.names else {})

        refused = ask(program, case, url).status_code == 403

        # Whoever holds a narrowed token may not sign its person out with it.
        is_for_whole = case.resource.partition("/")[0] in PERSONAL and case.method != "get"
        is_beyond = case.permission not in {scope, Permission.SELF}
        assert refused == (is_beyond or is_for_whole), case_name(case)
