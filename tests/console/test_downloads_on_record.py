"""CSV downloads are in the audit log, with the filter and the number of rows."""

import pytest
from django.urls import reverse

from apps.accounts.models import Membership
from apps.audit.models import Record
from apps.tenancy import acting_in
from tests.accounts import rows
from tests.console.test_orders import CSV_EXPORTS, csv_rows
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db


@pytest.fixture
def network(acme) -> None:
    with acting_in(acme):
        make_device("cr1", site=make_site("Hub"))
        make_device("cr2", management_address="127.20.0.2")
        rows.alert()
        rows.incident()


def taken(tenant) -> list[Record]:
    with acting_in(tenant):
        return list(Record.objects.filter(action="list.downloaded").order_by("sequence"))


@pytest.mark.parametrize("name", CSV_EXPORTS.values())
@pytest.mark.usefixtures("network")
def test_each_file_is_recorded_with_its_rows(log_in, acme, acme_readonly, name):
    file = csv_rows(log_in(acme_readonly).get(reverse(name)))

    (record,) = taken(acme)
    assert len(file) >= 1
    assert record.detail == {"filter": record.detail["filter"], "rows": len(file)}
    assert record.entity_type == "list"
    assert f"{record.entity_id}.csv" in reverse(name)
    assert (record.actor["kind"], record.actor["id"]) == ("user", str(acme_readonly.id))


@pytest.mark.parametrize(
    ("name", "query", "recorded", "number"),
    [
        ("console:devices-csv", {"q": "cr2", "sort": "-name", "page": "3"}, None, 1),
        ("console:devices-csv", {"site": "hub", "state": "unknown"}, None, 2),
        ("console:devices-csv", {"q": "nobody"}, None, 0),
        ("console:devices-csv", {"state": "x", "role": "x", "more": "x"}, {}, 2),
        ("console:sites-csv", {"q": "hu"}, None, 1),
        ("console:alerts-csv", {"severity": "info"}, None, 0),
        ("incidents:csv", {"status": "all"}, None, 1),
        ("incidents:csv", {}, {}, 1),
    ],
)
@pytest.mark.usefixtures("network")
def test_the_filter_is_recorded_as_it_was_understood(
    log_in, acme, acme_noc, name, query, recorded, number
):
    log_in(acme_noc).get(reverse(name), query)

    (record,) = taken(acme)
    understood = {key: value for key, value in query.items() if key != "page"}
    assert record.detail["filter"] == (understood if recorded is None else recorded)
    assert record.detail["rows"] == number


@pytest.mark.usefixtures("network")
def test_it_is_recorded_before_a_row_leaves(log_in, acme, acme_noc):
    """Also for a member who closes the connection early."""
    answer = log_in(acme_noc).get(reverse("console:devices-csv"))

    assert [record.detail["rows"] for record in taken(acme)] == [2]
    assert next(iter(answer.streaming_content))


@pytest.mark.usefixtures("network")
def test_what_is_not_recorded_is_not_sent(log_in, acme, acme_noc):
    """The next sequence number of the chain exists already, so the record cannot be written."""
    client = log_in(acme_noc)
    client.raise_request_exception = False
    with acting_in(acme):
        last = Record.objects.order_by("-sequence")[0]
        Record.objects.create(
            sequence=last.sequence + 1,
            at=last.at,
            action="other",
            actor={},
            entity_type="list",
            entity_id="",
            previous=bytes(32),
            digest=bytes(32),
        )

    answer = client.get(reverse("console:devices-csv"))

    assert answer.status_code == 500
    assert b"cr1" not in answer.content
    assert taken(acme) == []


@pytest.mark.parametrize("name", CSV_EXPORTS.values())
@pytest.mark.usefixtures("network")
def test_a_limited_member_is_recorded_with_what_they_saw(log_in, acme, acme_noc, name):
    Membership.objects.filter(user=acme_noc).update(is_limited=True)

    log_in(acme_noc).get(reverse(name))

    assert [record.detail["rows"] for record in taken(acme)] == [0]


@pytest.mark.usefixtures("network")
def test_other_tenants_have_no_record(log_in, acme, globex, globex_noc):
    log_in(globex_noc).get(reverse("console:devices-csv"))

    assert taken(acme) == []
    assert [record.detail["rows"] for record in taken(globex)] == [0]


@pytest.mark.usefixtures("network")
def test_looking_at_a_list_is_not(log_in, acme, acme_noc):
    log_in(acme_noc).get(reverse("console:devices"))

    assert taken(acme) == []
