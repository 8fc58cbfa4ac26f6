"""``ETag`` and ``If-Match`` on every row that can be changed: the paths come from the URL resolver."""

import threading

import pytest
from django.db import connection

from apps.authorization.choices import Role
from apps.inventory.models import Site
from apps.tenancy import acting_in
from tests.accounts.test_matrix import (  # noqa: F401  (the fixture)
    ABSENT,
    ROWWISE,
    ask,
    case_name,
    company,
    outcome,
)
from tests.clients import bearer, problem
from tests.inventory.factories import make_site

IF_MATCH_ACTIONS = [c for c in ROWWISE if c.action in {"update", "partial_update", "destroy"}]
CHANGED = [c for c in IF_MATCH_ACTIONS if c.action == "partial_update"]
STALE = '"00000000000000000000000000000000"'


def test_there_are_guarded_rows():
    assert len(IF_MATCH_ACTIONS) >= 25


@pytest.mark.django_db
@pytest.mark.parametrize("case", IF_MATCH_ACTIONS, ids=case_name)
def test_a_change_of_what_was_not_seen_is_refused(company, case):
    admin = company.callers[Role.ADMIN]
    url = case.url(company.ids(case, "own"))
    tag = admin.get(url)["ETag"]

    assert problem(ask_if(admin, case, url, STALE)) == (412, "precondition_failed")
    assert problem(ask_if(admin, case, url, f"W/{tag}")) == (412, "precondition_failed")
    for match in (tag, "*", f"{STALE}, {tag}"):
        assert ask_if(admin, case, url, match).status_code != 412, match


@pytest.mark.django_db
@pytest.mark.parametrize("case", IF_MATCH_ACTIONS, ids=case_name)
def test_foreign_and_absent_rows_have_no_version(company, case):
    admin = company.callers[Role.ADMIN]
    urls = [case.url(company.ids(case, relation)) for relation in ("foreign", "absent")]

    answers = [outcome(ask_if(admin, case, url, match)) for url in urls for match in (STALE, "*")]

    assert answers[0][0] == 404
    assert answers == answers[:1] * 4


@pytest.mark.django_db
@pytest.mark.parametrize("case", CHANGED, ids=case_name)
def test_the_tag_stays_while_the_row_stays(company, case):
    admin = company.callers[Role.ADMIN]
    url = case.url(company.ids(case, "own"))

    assert admin.get(url)["ETag"] == admin.get(url)["ETag"]


def ask_if(client, case, url: str, match: str):
    client.credentials(HTTP_IF_MATCH=match)
    try:
        return ask(client, case, url)
    finally:
        client.credentials()


@pytest.mark.django_db
def test_the_answer_to_a_change_carries_the_new_tag(acme, acme_admin):
    admin = bearer(acme, acme_admin)
    with acting_in(acme):
        url = f"/api/v1/sites/{make_site('hub').id}/"
    old = admin.get(url)["ETag"]

    changed = admin.patch(url, {"name": "hub 2"}, headers={"If-Match": old})

    assert changed.status_code == 200
    assert changed["ETag"] == admin.get(url)["ETag"] != old
    again = admin.patch(url, {"name": "hub 3"}, headers={"If-Match": old})
    assert problem(again) == (412, "precondition_failed")
    assert admin.get(url).json()["name"] == "hub 2"


@pytest.mark.django_db(transaction=True)
def test_of_concurrent_changes_one_succeeds(acme, acme_admin):
    clients = [bearer(acme, acme_admin) for _ in range(8)]
    with acting_in(acme):
        site = make_site("hub")
    url, tag = f"/api/v1/sites/{site.id}/", clients[0].get(f"/api/v1/sites/{site.id}/")["ETag"]
    answers: list[int] = []

    def change(number: int) -> None:
        body = {"name": f"hub {number}"}
        answers.append(clients[number].patch(url, body, headers={"If-Match": tag}).status_code)
        connection.close()

    threads = [threading.Thread(target=change, args=(n,)) for n in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200] + [412] * 7
    with acting_in(acme):
        assert Site.objects.get().name != "hub"
