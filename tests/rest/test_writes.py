"""Every write that the REST framework's hooks make takes effect and is audited as the caller's, at its time."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

import pytest
from django.urls import get_resolver

from apps.accounts.models import ApiToken
from apps.agents.services import create_agent
from apps.audit.models import Record
from apps.core import clock
from apps.tenancy import acting_in
from tests.accounts import rows
from tests.accounts.test_access_table import class_of, patterns
from tests.clients import bearer
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db

#: Method -> the view set's action and the hook that makes the write.
HOOKS = {
    "post": ("create", "perform_create"),
    "patch": ("partial_update", "perform_update"),
    "delete": ("destroy", "perform_destroy"),
}


def hooks() -> Iterator[tuple[str, str]]:
    """The path below /api/v1/ and the method of every write through a hook."""
    for path, entry in patterns(get_resolver()):
        actions = getattr(entry.callback, "actions", None) or {}
        for method, (action, hook) in HOOKS.items():
            if actions.get(method) == action and hasattr(class_of(entry), hook):
                below = path.removeprefix("api/v1/").replace("^", "")
                yield re.split(r"/(?:\(|\$)", below)[0], method


ALL = sorted(set(hooks()))


def _device() -> str:
    return str(rows.DEVICE())


def _other_device() -> str:
    return str(make_device("written", management_address="127.20.9.9").pk)


#: What creates a row.
NEW: Mapping[str, Callable[[], dict[str, Any]]] = {
    "agents": lambda: {"name": "written", "site": str(rows.ROWS["sites"]())},
    "sites": lambda: {"name": "written"},
    "devices": lambda: {
        "name": "written",
        "site": str(rows.ROWS["sites"]()),
        "role": "core",
        "management_address": "127.20.9.9",
    },
    "bgp-peers": lambda: {"device": _device(), "remote_address": "10.9.9.9", "remote_as": 65_009},
    "ospf-neighbors": lambda: {"device": _device(), "router_id": "10.9.9.9", "area": "0"},
    "links": lambda: {
        "name": "written",
        "kind": "ring",
        "a_device": _device(),
        "a_interface_name": "ether8",
        "z_device": _other_device(),
        "z_interface_name": "ether9",
    },
    "probe-targets": lambda: {
        "name": "written",
        "device": _device(),
        "method": "tcp",
        "address": "127.20.9.9",
        "port": 81,
    },
    "services": lambda: {"name": "written", "kind": "pppoe", "device": _device()},
    "grants/sites": lambda: {"user": str(rows.member().pk), "site": str(make_site("written").pk)},
    "grants/devices": lambda: {"user": str(rows.member().pk), "device": _other_device()},
    "maintenance-windows": lambda: {
        "title": "written",
        "starts_at": "2030-01-01T00:00:00Z",
        "ends_at": "2030-01-01T01:00:00Z",
        "devices": [_device()],
    },
}

#: What changes a row; the others have a name.
CHANGES = {
    "interfaces": {"comment": "written"},
    "maintenance-windows": {"title": "written"},
    "memberships": {"role": "noc"},
}
NAMED = {"name": "written"}


@pytest.fixture
def row_of(acme, acme_readonly) -> Callable[[str], UUID]:
    """A row of the tenant that may be changed and deleted."""

    def make(path: str) -> UUID:
        if path == "memberships":
            return acme_readonly.memberships.get(tenant=acme).pk
        if path == "sites":
            return make_site("empty").pk
        if path == "agents":
            return create_agent(name="idle", site=make_site("empty"), **rows.WHO).pk
        return rows.ROWS[path]()

    return make


@pytest.mark.parametrize(("path", "method"), ALL, ids=[f"{m} {path}" for path, m in ALL])
def test_a_write_takes_effect_and_is_recorded_as_the_callers(
    acme, acme_admin, row_of, path, method
):
    caller = bearer(acme, acme_admin)
    token = ApiToken.objects.get(tenant=acme, name="test")
    url = f"/api/v1/{path}/"
    with acting_in(acme):
        body = NEW[path]() if method == "post" else CHANGES.get(path, NAMED)
        if method != "post":
            url += f"{row_of(path)}/"
        seen = Record.objects.count()
    before = caller.get(url).content
    began = clock.now()

    answer = getattr(caller, method)(url, *([] if method == "delete" else [body]), format="json")

    assert answer.status_code in {200, 201, 204}, answer.content
    after = caller.get(url)
    assert after.content != before, "nothing has changed"
    if method != "delete":
        shown = answer.json()
        stored = after if method == "patch" else caller.get(f"{url}{shown['id']}/")
        assert stored.json() == shown
        assert {name: shown[name] for name in body} == body
    with acting_in(acme):
        records = list(Record.objects.order_by("sequence")[seen:])
    assert records, "nothing was recorded"
    for record in records:
        assert record.actor["kind"] == "token", record.action
        assert record.actor["id"] == str(token.pk)
        assert began <= record.at <= clock.now()
