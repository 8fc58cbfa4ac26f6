"""The number of queries of each page and list over one generated network, pinned.

A deliberate change goes into ``query_counts.json``.
"""

import json
from pathlib import Path

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.core import clock
from apps.lab.bench.pages import admin_pages, api_lists, html_pages, largest_objects, queries_of
from apps.lab.seed.run import seed_demo
from apps.lab.seed.sizes import NEIGHBOR
from apps.tenancy import acting_in
from tests.clients import bearer

pytestmark = pytest.mark.django_db

PINNED = Path(__file__).with_name("query_counts.json")


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(email=f"{name}@{NEIGHBOR.domain}"))
    return client


def test_query_counts_are_unchanged(monkeypatch, record_property):
    monkeypatch.setattr("apps.lab.seed.run.SIZES", {"small": NEIGHBOR})
    at = clock.now().replace(microsecond=0)
    created = seed_demo(size="small", seed=7, password="of-tests-" * 2, at=at, echo=str)
    tenant = created[0].tenant
    with acting_in(tenant):
        objects = largest_objects()
    noc = User.objects.get(email=f"noc@{NEIGHBOR.domain}")
    callers = (
        (signed_in("noc"), html_pages(objects)),
        (signed_in("admin"), admin_pages(objects, last=2)),
        (bearer(tenant, noc), api_lists(objects)),
    )

    counts = {
        page.name: queries_of(client, page, {}) for client, pages in callers for page in pages
    }

    assert counts == json.loads(PINNED.read_text())
    record_property("bar", f"pages whose queries are pinned: {len(counts)}")
