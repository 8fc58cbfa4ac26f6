"""`bench pages` asks for every page there is."""

from uuid import UUID

from django.urls import resolve

from apps.lab.bench.pages import SampleObjects, admin_pages, api_lists, html_pages
from tests.accounts.test_access_table import PAGES

ANY = UUID(int=1)
PLACES = SampleObjects(device=ANY, site=ANY, incident=ANY, delivery=ANY)


#: Taken by posts, or a form for those who manage agents, or files of whole lists, which are read part by part.
NOT_MEASURED = {
    *("incidents:acknowledge", "incidents:acknowledge-many", "incidents:note"),
    *("incidents:assign", "incidents:close", "delivery:resend"),
    "agents:logins",  # for admins: among the pages of administration
    *("agents:approve-host", "agents:approve-logins", "agents:decide-login"),
    *("agents:new", "agents:enroll", "agents:issue", "console:end-window"),
    *("console:devices-csv", "console:sites-csv", "console:alerts-csv", "incidents:csv"),
}


def test_every_page_of_the_network_is_measured():
    options = {resolve(page.path.partition("?")[0]).view_name for page in html_pages(PLACES)}
    there = {
        f"{entry.lookup_str.split('.')[1]}:{entry.name}"
        for _, entry in PAGES
        if entry.lookup_str.split(".")[1] in {"console", "incidents", "agents", "delivery"}
    }

    assert there - NOT_MEASURED == options


def test_other_measured_pages_exist():
    for page in (*api_lists(PLACES), *admin_pages(PLACES, last=2)):
        assert resolve(page.path.partition("?")[0])
    assert all(page.is_api for page in api_lists(PLACES))
