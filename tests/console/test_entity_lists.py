"""Filters, search and orders of a list select the same rows, in the same order, by page, CSV and REST."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from apps.accounts.models import Membership
from apps.alerts.lists import ALERTS
from apps.alerts.models import Alert, AlertRule
from apps.core import clock
from apps.core.messages import Message
from apps.incidents.lists import INCIDENTS
from apps.incidents.models import Incident, IncidentAlert
from apps.incidents.web.ordering import after as rows_after
from apps.incidents.web.ordering import cursor_of, parse_cursor
from apps.inventory.models import Device
from apps.inventory.services import grant
from apps.pages.lists import EntityList
from apps.tenancy import acting_in
from tests.accounts import rows
from tests.clients import bearer, problem
from tests.console.test_orders import csv_rows
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Listed:
    """A listed entity: where it is listed, and how a row is recognized."""

    entity_list: EntityList
    page: str
    csv: str
    rest: str
    model: type[Any]
    #: A column of the CSV and field of the model that identifies a row.
    key: str
    #: What selects every row.
    everything: Mapping[str, str]


LISTS = {
    "alerts": Listed(
        ALERTS, "console:alerts", "console:alerts-csv", "alerts", Alert, "summary", {}
    ),
    "incidents": Listed(
        INCIDENTS,
        *("incidents:list", "incidents:csv", "incidents", Incident, "number"),
        {"status": "all"},
    ),
}


@pytest.fixture
def network(acme) -> dict[str, str]:
    """Alerts and incidents on two routers that differ in every filter and order; some are alike in each."""
    now = clock.now()
    with acting_in(acme):
        granted, other = make_device("cr1", site=make_site("Hub")), make_device("cr2")
        document = AlertRule.objects.get(pk=rows.rule()).document
        severities = ("critical", "warn", "info")
        states = ("firing", "recovering", "ok", "pending")
        first = Alert.objects.get(pk=rows.alert())
        for n in range(12):
            device = granted if n % 2 else other
            name = f"{device.name} alert {(n * 5) % 12}"
            summary = Message("alerts.summary.unreachable", {"entity": name})
            rule = AlertRule.objects.create(key=f"rule-{n}", document=document, updated_at=now)
            Alert.objects.create(
                rule=rule,
                entity_type="device",
                entity_id=device.id,
                state=states[n // 2 % 4],
                severity=severities[n % 3],
                since=now - timedelta(seconds=n // 2),
                fired_at=now,
                summary=str(summary),
                summary_message=summary,
                observation=first.observation,
            )
        alerts = list(Alert.objects.exclude(pk=first.pk).order_by("summary"))
        for n in range(1, 13):
            device = granted if n % 2 else other
            incident = Incident.objects.create(
                number=n,
                status="closed" if n % 4 == 0 else "open",
                resolution="operator" if n % 4 == 0 else "",
                severity=severities[n % 3],
                title=f"{device.name} is down",
                started_at=now - timedelta(seconds=n // 3),
                opened_at=now - timedelta(seconds=n // 2),
                ended_at=now if n % 4 == 0 else None,
                root_type="device",
                root_id=device.id,
                root_name=device.name,
                confidence=0.9,
                sites_affected=n % 3,
                devices_affected=n % 4,
                subscribers_affected=None if n % 5 == 0 else n % 3,
                acked_at=now if n % 5 == 1 else None,
                acked_by="someone" if n % 5 == 1 else "",
            )
            # A limited member sees incidents with an alert on the granted router, whatever their cause.
            on = granted if n % 3 else other
            IncidentAlert.objects.create(
                incident=incident,
                alert=alerts[n - 1],
                entity_type="device",
                entity_id=on.id,
                entity_name=on.name,
                device_name=on.name,
                kind="unreachable",
                state="firing",
                severity="critical",
                since=now,
                summary_message=first.summary_message,
            )
    return {"granted": str(granted.id), "other": str(other.id), "rule": str(rule.id)}


@pytest.fixture(params=["admin", "limited"])
def user(request, acme, acme_admin, acme_noc, network):
    """An admin, and a member who is granted one router; two incidents are assigned to each."""
    member = acme_admin if request.param == "admin" else acme_noc
    with acting_in(acme):
        Incident.objects.filter(number__in=[5, 7]).update(assigned_user_id=member.pk)
        if request.param == "limited":
            Membership.objects.filter(user=member).update(is_limited=True)
            device = Device.objects.get(pk=network["granted"])
            grant(user_id=member.id, row=device, **rows.WHO)
    return member


def filter_values(listed: Listed, network: Mapping[str, str]) -> list[dict[str, str]]:
    """Values of every declared filter: each choice of those that offer some."""
    texts = {
        "entity_id": [network["granted"], network["other"]],
        "root_id": [network["granted"], network["other"]],
        "rule": [network["rule"], "rule-3", "none"],
        "number": ["3", "4", "999"],
        "started_after": [(clock.now() - timedelta(seconds=2)).isoformat()],
        "q": ["cr1", "CR2", "INC-3", "alert 5", "%", "nothing"],
    }
    found = []
    for each in listed.entity_list.filters:
        choices = getattr(each.field, "choices", None)
        found += [{each.name: str(text)} for text in (choices or texts[each.name])]
    return found


@pytest.fixture
def selected(acme, user, log_in) -> Callable[[Listed, Mapping[str, str], str], tuple[list, ...]]:
    """The rows of a filter and order by page, CSV and REST."""
    client, rest = log_in(user), bearer(acme, user)

    def read(listed: Listed, params: Mapping[str, str], order: str) -> tuple[list, ...]:
        defaults = {k: v for k, v in listed.entity_list.page_defaults.items() if k != "sort"}
        shown = {**params, "sort": order}
        page = client.get(reverse(listed.page), shown)
        file = csv_rows(client.get(reverse(listed.csv), shown))
        answer = rest.get(f"/api/v1/{listed.rest}/", {**defaults, **params, "ordering": order})
        assert (page.status_code, answer.status_code) == (200, 200), (params, answer.content)
        assert page.context["page"].filter.faults == ()
        with acting_in(acme):
            ids = {str(getattr(r, listed.key)): str(r.pk) for r in listed.model.objects.all()}
        return (
            [str(row.id) for row in page.context["page"].rows],
            [ids[row[listed.key]] for row in file],
            [row["id"] for row in answer.json()["results"]],
        )

    return read


@pytest.mark.parametrize("name", LISTS)
def test_each_filter_selects_the_same_by_page_csv_and_rest(network, selected, name):
    listed, found = LISTS[name], {}
    key = listed.entity_list.order_keys[0]
    for params in filter_values(listed, network):
        page, file, answer = selected(listed, {**listed.everything, **params}, key)
        assert page == file == answer, params
        found[tuple(params.items())] = page

    assert len({tuple(ids) for ids in found.values()}) >= 5
    assert {k for ((k, _v),) in found if found[((k, _v),)]} == {
        each.name for each in listed.entity_list.filters
    }


@pytest.mark.parametrize("name", LISTS)
def test_each_order_is_the_same_by_page_csv_and_rest(selected, name):
    listed = LISTS[name]
    found = {}
    for key in listed.entity_list.order_keys:
        for sign in ("", "-"):
            page, file, answer = selected(listed, listed.everything, f"{sign}{key}")
            assert page == file == answer, (sign, key)
            found[sign, key] = page

    assert len({tuple(ids) for ids in found.values()}) >= 4
    assert len({tuple(sorted(ids)) for ids in found.values()}) == 1


BAD = [
    ("alerts", "state", "x"),
    ("alerts", "severity", "CRITICAL"),
    ("alerts", "entity_id", "1"),
    ("alerts", "entity_type", "moon"),
    ("alerts", "rule", "x" * 64),
    ("incidents", "status", "x"),
    ("incidents", "severity", "x"),
    ("incidents", "number", "0"),
    ("incidents", "number", "٣x"),
    ("incidents", "root_id", "x"),
    ("incidents", "started_after", "yesterday"),
    ("incidents", "owner", "x"),
]


@pytest.mark.parametrize(("name", "parameter", "text"), BAD)
def test_an_invalid_value_is_a_message_on_the_page_and_a_400_by_rest(
    acme, acme_noc, log_in, name, parameter, text
):
    listed = LISTS[name]

    page = log_in(acme_noc).get(reverse(listed.page), {parameter: text})
    answer = bearer(acme, acme_noc).get(f"/api/v1/{listed.rest}/", {parameter: text})

    assert page.status_code == 200
    assert f"Invalid filter values were ignored: {parameter}" in page.content.decode()
    assert problem(answer) == (400, "invalid")


@pytest.mark.parametrize("name", LISTS)
def test_an_unknown_order_is_a_message_on_the_page_and_a_400_by_rest(acme, acme_noc, log_in, name):
    listed = LISTS[name]

    page = log_in(acme_noc).get(reverse(listed.page), {"sort": "-x"})
    answer = bearer(acme, acme_noc).get(f"/api/v1/{listed.rest}/", {"ordering": "-x"})

    assert "Invalid filter values were ignored: sort" in page.content.decode()
    assert problem(answer) == (400, "invalid")


@pytest.mark.parametrize("order", [f"{s}{key}" for key in INCIDENTS.order_keys for s in ("", "-")])
def test_pages_of_incidents_continue_in_every_order(acme, acme_admin, network, order):
    by = INCIDENTS.page_params({"sort": order}).order
    with acting_in(acme):
        every = list(INCIDENTS.sorted(Incident.objects.all(), by))
        seen, rest = [], INCIDENTS.sorted(Incident.objects.all(), by)
        while part := list(rest[:5]):
            seen += part
            cursor = parse_cursor(str(cursor_of(part[-1], by)))
            rest = rows_after(INCIDENTS.sorted(Incident.objects.all(), by), by, cursor)

    assert [row.number for row in seen] == [row.number for row in every]


@pytest.mark.parametrize("after", ["3~1", "2026-01-01T00:00:00+00:00~x", "2026-01-01~1", "a~b~c"])
@pytest.mark.parametrize("sort", ["-started_at", "sites"])
def test_a_cursor_of_another_order_is_ignored(log_in, acme_noc, network, after, sort):
    answer = log_in(acme_noc).get(reverse("incidents:list"), {"after": after, "sort": sort})

    assert answer.status_code == 200
