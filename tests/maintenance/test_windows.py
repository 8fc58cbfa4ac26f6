"""Maintenance windows over REST, and their coverage."""

from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Membership
from apps.audit.models import Record
from apps.core import clock
from apps.inventory.services import grant
from apps.maintenance.coverage import ActiveWindow, covering_window
from apps.maintenance.models import MaintenanceWindow
from apps.maintenance.selectors import active_windows
from apps.tenancy import acting_in
from tests.clients import WHO_TESTS, bearer, faulty_fields, listed, problem
from tests.inventory.factories import make_device, make_site

UNKNOWN_ID = "0f4a2a0e-6a0f-4f51-9a53-4f0b8d1a9f11"
BASE = "/api/v1/maintenance-windows/"


@pytest.fixture
def noc(acme, acme_noc):
    return bearer(acme, acme_noc)


@pytest.fixture
def site(acme):
    with acting_in(acme):
        return make_site("north")


def body(site=None, *, starts_in_hours: float = -1, hours: float = 2, **more) -> dict:
    start = clock.now() + timedelta(hours=starts_in_hours)
    return {
        "title": "Router swap",
        "starts_at": start.isoformat(),
        "ends_at": (start + timedelta(hours=hours)).isoformat(),
        **({"sites": [str(site.id)]} if site else {}),
        **more,
    }


@pytest.mark.django_db
class TestPlanning:
    def test_returns_and_audits_the_window(self, acme, noc, site):
        with acting_in(acme):
            router = make_device("cr1")

        created = noc.post(BASE, body(site, devices=[str(router.id)]), "json")

        assert created.status_code == 201, created.content
        window = noc.get(f"{BASE}{created.json()['id']}/").json()
        assert window == created.json()
        assert (window["state"], window["sites"], window["devices"]) == (
            "active",
            [str(site.id)],
            [str(router.id)],
        )
        with acting_in(acme):
            record = Record.objects.get(action="maintenance_window.planned")
            (active,) = active_windows(clock.now())
        assert record.detail["sites"] == [str(site.id)]
        assert active.covers(device_id=uuid4(), site_id=site.id)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"sites": []}, "window_invalid"),
            ({"ends_at": "2020-01-01T00:00:00Z"}, "window_invalid"),
            ({"ends_at": "2096-01-01T00:00:00Z"}, "window_invalid"),
            ({"sites": [UNKNOWN_ID]}, "target_unknown"),
            ({"devices": [UNKNOWN_ID]}, "target_unknown"),
        ],
    )
    def test_rejects_invalid_windows(self, noc, site, changes, code):
        assert problem(noc.post(BASE, body(site) | changes, "json")) == (422, code)

    def test_rejects_a_window_that_has_ended_already(self, noc, site):
        response = noc.post(BASE, body(site, starts_in_hours=-3, hours=1), "json")

        assert problem(response) == (422, "window_invalid")

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"title": ""}, "title"),
            ({"title": "x" * 201}, "title"),
            ({"starts_at": "soon"}, "starts_at"),
            ({"sites": "north"}, "sites"),
            ({"notify_critical": "perhaps"}, "notify_critical"),
        ],
    )
    def test_names_the_invalid_field(self, noc, site, changes, field):
        assert faulty_fields(noc.post(BASE, body(site) | changes, "json")) == {field}

    def test_another_tenant_s_site_is_unknown(self, globex, globex_noc, site):
        response = bearer(globex, globex_noc).post(BASE, body(site), "json")

        assert problem(response) == (422, "target_unknown")

    def test_needs_the_permission_to_plan(self, acme, acme_readonly, site):
        client = bearer(acme, acme_readonly)

        assert problem(client.post(BASE, body(site), "json"))[0] == 403
        assert listed(client, BASE) == []


@pytest.mark.django_db
class TestLifecycle:
    @pytest.fixture
    def window(self, noc, site) -> str:
        return noc.post(BASE, body(site), "json").json()["id"]

    def test_ended_early_it_covers_nothing_and_cannot_be_changed(self, acme, noc, window):
        assert noc.post(f"{BASE}{window}/end/").json()["state"] == "over"

        with acting_in(acme):
            assert active_windows(clock.now()) == ()
        assert problem(noc.post(f"{BASE}{window}/end/")) == (409, "window_over")
        changes = {"title": "Another"}
        assert problem(noc.patch(f"{BASE}{window}/", changes, "json")) == (409, "window_over")

    def test_a_partial_change_keeps_other_fields_and_is_audited(self, acme, noc, window, site):
        with acting_in(acme):
            router = make_device("cr1")

        changes = {"devices": [str(router.id)], "title": "Longer"}
        changed = noc.patch(f"{BASE}{window}/", changes, "json").json()

        assert (changed["title"], changed["sites"], changed["devices"]) == (
            "Longer",
            [str(site.id)],
            [str(router.id)],
        )
        with acting_in(acme):
            record = Record.objects.get(action="maintenance_window.changed")
        assert set(record.detail["fields"]) == {"title", "devices"}

    def test_an_invalid_change_changes_nothing(self, noc, window):
        before = noc.get(f"{BASE}{window}/").json()
        wrong = {"title": "X", "ends_at": before["starts_at"]}

        assert problem(noc.patch(f"{BASE}{window}/", wrong, "json")) == (422, "window_invalid")
        assert noc.get(f"{BASE}{window}/").json() == before

    def test_can_be_filtered_by_state(self, noc, site, window):
        later = noc.post(BASE, body(site, starts_in_hours=5), "json").json()["id"]
        noc.post(f"{BASE}{noc.post(BASE, body(site), 'json').json()['id']}/end/")

        def ids(state: str) -> set[str]:
            return {row["id"] for row in listed(noc, f"{BASE}?state={state}")}

        assert ids("active") == {window}
        assert ids("planned") == {later}
        assert len(ids("over")) == 1

    def test_is_hidden_from_other_tenants(self, globex, globex_noc, window):
        other = bearer(globex, globex_noc)

        assert listed(other, BASE) == []
        assert problem(other.post(f"{BASE}{window}/end/"))[0] == 404

    def test_outlives_the_deletion_of_its_only_site(self, acme, window, site):
        with acting_in(acme):
            site.delete()
            assert MaintenanceWindow.objects.filter(pk=window).exists()
            (active,) = active_windows(clock.now())
            assert not active.covers(device_id=None, site_id=site.id)


@pytest.mark.django_db
class TestLimitedMembers:
    @pytest.fixture
    def granted_devices(self, acme, acme_noc, site):
        """One router of the site; the site is not granted, nor is its other router."""
        Membership.objects.filter(user=acme_noc).update(is_limited=True)
        with acting_in(acme):
            own, other = (make_device(name, site=site) for name in ("own", "other"))
            grant(user_id=acme_noc.id, row=own, **WHO_TESTS)
        return own, other

    def test_plan_change_and_end_within_the_grant(self, noc, granted_devices):
        own, _ = granted_devices

        created = noc.post(BASE, body(devices=[str(own.id)]), "json")

        assert created.status_code == 201, created.content
        url = f"{BASE}{created.json()['id']}/"
        assert noc.patch(url, {"title": "Longer"}, "json").status_code == 200
        assert noc.post(f"{url}end/").status_code == 200

    def test_targets_outside_the_grant_are_unknown(self, noc, granted_devices, site):
        own, other = granted_devices
        url = f"{BASE}{noc.post(BASE, body(devices=[str(own.id)]), 'json').json()['id']}/"

        for outside in ({"devices": [str(other.id)]}, {"sites": [str(site.id)]}):
            assert problem(noc.post(BASE, body() | outside, "json")) == (422, "target_unknown")
            assert problem(noc.patch(url, outside, "json")) == (422, "target_unknown")

    def test_windows_with_a_target_outside_the_grant_are_hidden(
        self, acme, acme_admin, noc, granted_devices
    ):
        own, other = granted_devices
        both = body(devices=[str(own.id), str(other.id)])
        window_id = bearer(acme, acme_admin).post(BASE, both, "json").json()["id"]

        assert listed(noc, BASE) == []
        assert problem(noc.post(f"{BASE}{window_id}/end/"))[0] == 404


IDS = [uuid4() for _ in range(4)]
SUBSETS = st.frozensets(st.sampled_from(IDS))
WINDOWS = st.builds(
    ActiveWindow,
    id=st.uuids(),
    title=st.just("w"),
    site_ids=SUBSETS,
    device_ids=SUBSETS,
    notify_critical=st.booleans(),
)


class TestCoveringWindow:
    def test_a_window_without_targets_covers_nothing(self):
        window = ActiveWindow(uuid4(), "w")

        assert covering_window([window], device_id=None, site_id=None) is None

    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(st.lists(WINDOWS, max_size=5), st.sampled_from(IDS), st.sampled_from(IDS))
    def test_is_independent_of_order_and_prefers_notify_critical(self, windows, device, site):
        found = covering_window(windows, device_id=device, site_id=site)

        assert found == covering_window(windows[::-1], device_id=device, site_id=site)
        matching = [row for row in windows if device in row.device_ids or site in row.site_ids]
        assert (found is not None) == bool(matching)
        if found:
            assert found.notify_critical == any(row.notify_critical for row in matching)
