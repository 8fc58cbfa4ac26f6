"""Maintenance windows over REST, and what they cover."""

from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Membership
from apps.audit.models import Record
from apps.core import clock
from apps.inventory.services import grant
from apps.maintenance.coverage import ActiveWindow, covering
from apps.maintenance.models import MaintenanceWindow
from apps.maintenance.selectors import active_windows
from apps.tenancy import acting_in
from tests.clients import WHO_TESTS, bearer, faulty_fields, listed, problem
from tests.inventory.factories import make_device, make_site

NOBODY = "0f4a2a0e-6a0f-4f51-9a53-4f0b8d1a9f11"
BASE = "/api/v1/maintenance-windows/"


@pytest.fixture
def noc(acme, acme_noc):
    return bearer(acme, acme_noc)


@pytest.fixture
def site(acme):
    with acting_in(acme):
        return make_site("north")


def wish(site=None, *, begins: float = -1, hours: float = 2, **more) -> dict:
    start = clock.now() + timedelta(hours=begins)
    return {
        "title": "Router swap",
        "starts_at": start.isoformat(),
        "ends_at": (start + timedelta(hours=hours)).isoformat(),
        **({"sites": [str(site.id)]} if site else {}),
        **more,
    }


@pytest.mark.django_db
class TestPlanning:
    def test_a_window_says_what_it_covers_and_who_announced_it(self, acme, noc, site):
        with acting_in(acme):
            router = make_device("cr1")

        made = noc.post(BASE, wish(site, devices=[str(router.id)]), "json")

        assert made.status_code == 201, made.content
        said = noc.get(f"{BASE}{made.json()['id']}/").json()
        assert said == made.json()
        assert (said["state"], said["sites"], said["devices"]) == (
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
            ({"sites": [NOBODY]}, "target_unknown"),
            ({"devices": [NOBODY]}, "target_unknown"),
        ],
    )
    def test_nonsense_is_refused(self, noc, site, changes, code):
        assert problem(noc.post(BASE, wish(site) | changes, "json")) == (422, code)

    def test_what_would_be_over_already_is_refused(self, noc, site):
        answer = noc.post(BASE, wish(site, begins=-3, hours=1), "json")

        assert problem(answer) == (422, "window_invalid")

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"title": ""}, "title"),
            ({"title": "x" * 201}, "title"),
            ({"starts_at": "soon"}, "starts_at"),
            ({"sites": "north"}, "sites"),
            ({"lets_critical_through": "perhaps"}, "lets_critical_through"),
        ],
    )
    def test_a_wrong_field_is_named(self, noc, site, changes, field):
        assert faulty_fields(noc.post(BASE, wish(site) | changes, "json")) == {field}

    def test_another_tenant_s_site_is_unknown(self, globex, globex_noc, site):
        answer = bearer(globex, globex_noc).post(BASE, wish(site), "json")

        assert problem(answer) == (422, "target_unknown")

    def test_who_only_reads_plans_nothing(self, acme, acme_readonly, site):
        client = bearer(acme, acme_readonly)

        assert problem(client.post(BASE, wish(site), "json"))[0] == 403
        assert listed(client, BASE) == []


@pytest.mark.django_db
class TestLiving:
    @pytest.fixture
    def window(self, noc, site) -> str:
        return noc.post(BASE, wish(site), "json").json()["id"]

    def test_ended_early_it_covers_nothing_any_more_and_stays_as_it_was(self, acme, noc, window):
        assert noc.post(f"{BASE}{window}/end/").json()["state"] == "over"

        with acting_in(acme):
            assert active_windows(clock.now()) == ()
        assert problem(noc.post(f"{BASE}{window}/end/")) == (409, "window_over")
        later = {"title": "Another"}
        assert problem(noc.patch(f"{BASE}{window}/", later, "json")) == (409, "window_over")

    def test_a_change_keeps_what_it_does_not_name_and_is_audited(self, acme, noc, window, site):
        with acting_in(acme):
            router = make_device("cr1")

        changes = {"devices": [str(router.id)], "title": "Longer"}
        said = noc.patch(f"{BASE}{window}/", changes, "json").json()

        assert (said["title"], said["sites"], said["devices"]) == (
            "Longer",
            [str(site.id)],
            [str(router.id)],
        )
        with acting_in(acme):
            record = Record.objects.get(action="maintenance_window.changed")
        assert set(record.detail["fields"]) == {"title", "devices"}

    def test_a_change_that_makes_no_sense_changes_nothing(self, noc, window):
        before = noc.get(f"{BASE}{window}/").json()
        wrong = {"title": "X", "ends_at": before["starts_at"]}

        assert problem(noc.patch(f"{BASE}{window}/", wrong, "json")) == (422, "window_invalid")
        assert noc.get(f"{BASE}{window}/").json() == before

    def test_is_listed_by_its_state(self, noc, site, window):
        later = noc.post(BASE, wish(site, begins=5), "json").json()["id"]
        noc.post(f"{BASE}{noc.post(BASE, wish(site), 'json').json()['id']}/end/")

        def ids(state: str) -> set[str]:
            return {row["id"] for row in listed(noc, f"{BASE}?state={state}")}

        assert ids("active") == {window}
        assert ids("planned") == {later}
        assert len(ids("over")) == 1

    def test_another_tenant_neither_sees_nor_ends_it(self, globex, globex_noc, window):
        other = bearer(globex, globex_noc)

        assert listed(other, BASE) == []
        assert problem(other.post(f"{BASE}{window}/end/"))[0] == 404

    def test_goes_with_its_last_target_s_site_but_keeps_its_record(self, acme, window, site):
        with acting_in(acme):
            site.delete()
            assert MaintenanceWindow.objects.filter(pk=window).exists()
            (active,) = active_windows(clock.now())
            assert not active.covers(device_id=None, site_id=site.id)


@pytest.mark.django_db
class TestLimitedMembers:
    @pytest.fixture
    def granted(self, acme, acme_noc, site):
        """One router of the site; the site is not granted, nor is its other router."""
        Membership.objects.filter(user=acme_noc).update(is_limited=True)
        with acting_in(acme):
            own, other = (make_device(name, site=site) for name in ("own", "other"))
            grant(user_id=acme_noc.id, row=own, **WHO_TESTS)
        return own, other

    def test_plan_change_and_end_work_on_what_was_granted(self, noc, granted):
        own, _ = granted

        made = noc.post(BASE, wish(devices=[str(own.id)]), "json")

        assert made.status_code == 201, made.content
        url = f"{BASE}{made.json()['id']}/"
        assert noc.patch(url, {"title": "Longer"}, "json").status_code == 200
        assert noc.post(f"{url}end/").status_code == 200

    def test_outside_is_as_unknown_as_what_is_not_there(self, noc, granted, site):
        own, other = granted
        url = f"{BASE}{noc.post(BASE, wish(devices=[str(own.id)]), 'json').json()['id']}/"

        for outside in ({"devices": [str(other.id)]}, {"sites": [str(site.id)]}):
            assert problem(noc.post(BASE, wish() | outside, "json")) == (422, "target_unknown")
            assert problem(noc.patch(url, outside, "json")) == (422, "target_unknown")

    def test_windows_that_reach_beyond_the_grant_are_not_there(
        self, acme, acme_admin, noc, granted
    ):
        own, other = granted
        both = wish(devices=[str(own.id), str(other.id)])
        wide = bearer(acme, acme_admin).post(BASE, both, "json").json()["id"]

        assert listed(noc, BASE) == []
        assert problem(noc.post(f"{BASE}{wide}/end/"))[0] == 404


IDS = [uuid4() for _ in range(4)]
SUBSETS = st.frozensets(st.sampled_from(IDS))
WINDOWS = st.builds(
    ActiveWindow,
    id=st.uuids(),
    title=st.just("w"),
    site_ids=SUBSETS,
    device_ids=SUBSETS,
    lets_critical_through=st.booleans(),
)


class TestCoverage:
    def test_nothing_is_covered_by_nothing(self):
        window = ActiveWindow(uuid4(), "w")

        assert covering([window], device_id=None, site_id=None) is None

    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(st.lists(WINDOWS, max_size=5), st.sampled_from(IDS), st.sampled_from(IDS))
    def test_does_not_depend_on_the_order_and_hears_who_asked_to_hear(self, windows, device, site):
        found = covering(windows, device_id=device, site_id=site)

        assert found == covering(windows[::-1], device_id=device, site_id=site)
        mine = [row for row in windows if device in row.device_ids or site in row.site_ids]
        assert (found is not None) == bool(mine)
        if found:
            assert found.lets_critical_through == any(row.lets_critical_through for row in mine)
