"""No request makes a 500: whatever is sent to any endpoint is answered, and a refusal is a problem document."""

import re
from base64 import b64encode

import pytest
from django.urls import get_resolver
from rest_framework.test import APIClient

from apps.alerts.services import install_pack
from apps.tenancy import acting_in
from tests import test_list_costs as rows
from tests.accounts.test_access_table import class_of, patterns
from tests.clients import bearer

pytestmark = pytest.mark.django_db

ALL = [(path, entry) for path, entry in patterns(get_resolver()) if path.startswith("api/v1/")]
ID = re.compile(r"\(\?P<\w+>[^)]*\)|<(?:\w+:)?\w+>")
ABSENT = "00000000-0000-4000-8000-000000000000"

WORDS = ["", "x" * 3000, "-1", "ÿ\u200b"]
OF_ACTIONS = ("changes", "target", "rules", "step", "device_ids", "methods", "endpoint")
# A few of each kind: every field meets every one of them.
JUNK = [None, {"x": {}}, [None], -1, 2**62, "", "nan", "٣\u200b", "x" * 70_000]


def url_of(path: str, pk: object) -> str:
    return "/" + ID.sub(str(pk), path).replace("^", "").replace("$", "").replace("\\Z", "")


def writes_of(entry) -> set[str]:
    actions = getattr(entry.callback, "actions", None) or {}
    return {"post", "put", "patch"} & {*actions, *vars(class_of(entry))}


def check(answer) -> None:
    assert answer.status_code < 500, answer.content
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json", answer.content
        assert answer.json()["code"]


@pytest.fixture
def admin(acme, acme_admin) -> APIClient:
    client = bearer(acme, acme_admin)
    client.raise_request_exception = False
    return client


def detail_of(admin: APIClient, acme, path: str) -> dict:
    """A row that the path may be about, as it is shown; empty when it is about none."""
    prefix, _, more = path.removeprefix("api/v1/").partition("^")
    listing = prefix + more.partition("/")[0]
    with acting_in(acme):
        if listing == "alert-rules":
            install_pack(pack="first", **rows.WHO)
        elif listing in rows.LISTS:
            rows.LISTS[listing](0)
        else:
            return {}
    shown: dict = admin.get(f"/api/v1/{listing}/").json()["results"][0]
    return shown


WRITABLE = [(path, entry) for path, entry in ALL if writes_of(entry)]


@pytest.mark.parametrize(("path", "entry"), WRITABLE, ids=[path for path, _ in WRITABLE])
def test_no_body_makes_a_500(admin, acme, path, entry):
    row = detail_of(admin, acme, path)
    url = url_of(path, row.get("id", ABSENT))
    fields = set(OF_ACTIONS)
    if {"create", "update", "partial_update"} & set(
        getattr(entry.callback, "actions", {}).values()
    ):
        serializer = getattr(class_of(entry), "serializer_class", None)
        fields = {*row, *(serializer().fields if serializer else ())}

    for method in writes_of(entry):
        write = getattr(admin, method)
        for junk in JUNK:
            check(write(url, junk, format="json"))
        for field in sorted(fields):
            for junk in JUNK:
                check(write(url, {**row, "name": "new", field: junk}, format="json"))


CREATING = [
    (path, entry)
    for path, entry in ALL
    if "create" in getattr(entry.callback, "actions", {}).values()
]


@pytest.mark.parametrize(("path", "entry"), CREATING, ids=[path for path, _ in CREATING])
def test_what_a_body_may_leave_out_makes_no_500(admin, acme, path, entry):
    row = detail_of(admin, acme, path)
    fields = class_of(entry).serializer_class().fields
    given = {**row, "name": "new", "router_id": "10.9.9.9", "remote_address": "10.9.9.9"}
    least = {n: given[n] for n, field in fields.items() if field.required and n in given}

    answer = admin.post(url_of(path, ABSENT), least, format="json")

    check(answer)


@pytest.mark.parametrize(("path", "entry"), ALL, ids=[path for path, _ in ALL])
def test_no_query_makes_a_500(admin, acme, path, entry):
    url = url_of(path, detail_of(admin, acme, path).get("id", ABSENT))
    names = {*getattr(class_of(entry), "filters", {}), "rule", "pack", "page_size", "cursor"}
    cursors = [b64encode(f"p={word}&o=99999999999999&r=1".encode()).decode() for word in WORDS]

    for name in sorted(names):
        for word in [*WORDS, "\x00", *(cursors if name == "cursor" else ())]:
            check(admin.get(url, {name: word}))


@pytest.mark.parametrize("path", [path for path, _ in ALL if ID.search(path)])
def test_no_id_makes_a_500(admin, path):
    for word in ("x", "0", "%00", "%FF", "a%20b", "x" * 300):
        check(admin.get(url_of(path, word)))
