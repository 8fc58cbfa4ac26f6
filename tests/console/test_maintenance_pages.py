"""Maintenance pages: the list of windows, planning with a preview, ending."""

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.accounts.models import Membership
from apps.alerts.models import Alert
from apps.audit.models import Record
from apps.core import clock
from apps.inventory.services import grant
from apps.maintenance import services
from apps.maintenance.models import MaintenanceWindow
from apps.tenancy import acting_in
from tests.clients import WHO_TESTS, queries
from tests.console.test_pages import text_of
from tests.incidents.monitored_network import ACTOR, CUT_OFF_ROUTERS
from tests.inventory.factories import make_device, make_site

pytestmark = pytest.mark.django_db

LIST, PLAN = reverse("console:maintenance"), reverse("console:plan")
NOWHERE = "00000000-0000-4000-8000-000000000000"


def open_window(tenant, *, begins: float = -1, hours: float = 2, title="Swap", **over):
    now = clock.now()
    starts_at = now + timedelta(hours=begins)
    with acting_in(tenant):
        return services.plan_window(
            title=title,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(hours=hours),
            **over,
            **WHO_TESTS | {"at": min(now, starts_at)},
        )


def wish(**more) -> dict:
    return {"title": "Power supply", "length": "60", "step": "plan", **more}


@pytest.fixture
def noc(log_in, acme_noc):
    return log_in(acme_noc)


@pytest.fixture
def site(acme):
    with acting_in(acme):
        site = make_site("north")
        for number in range(8):
            make_device(f"r{number}", site=site, management_address=f"127.20.0.{number + 1}")
    return site


@pytest.fixture
def limited(acme, acme_noc, log_in):
    Membership.objects.filter(user=acme_noc).update(is_limited=True)
    return log_in(acme_noc)


def windows(tenant) -> list[MaintenanceWindow]:
    with acting_in(tenant):
        return list(MaintenanceWindow.objects.prefetch_related("targets"))


class TestList:
    @pytest.fixture
    def three(self, acme, site):
        for title, begins in (("now", -1), ("later", 5), ("then", -5)):
            open_window(acme, title=title, begins=begins, site_ids=[site.id])

    @pytest.mark.parametrize(
        ("state", "titles"),
        [
            ("", ["now", "later"]),
            ("active", ["now"]),
            ("planned", ["later"]),
            ("over", ["then"]),
            ("all", ["later", "now", "then"]),
            ("nonsense", ["now", "later"]),
        ],
    )
    def test_is_filtered_by_state(self, noc, three, state, titles):
        page = noc.get(LIST, {"state": state}).context["page"]

        assert [row.window.title for row in page.rows] == titles
        assert [choice.number for choice in page.choices] == [2, 1, 1, 1, 3]

    def test_a_row_shows_targets_time_and_author(self, noc, three, acme_admin, site):
        answer = noc.get(LIST)

        row = answer.context["page"].rows[0]
        assert (row.targets[0].name, row.window.created_by) == ("north", WHO_TESTS["actor"].label)
        assert "59 min left" in text_of(answer)
        assert reverse("console:site", args=[site.id]) in answer.content.decode()

    def test_long_lists_come_page_by_page(self, acme, noc, site):
        for number in range(51):
            open_window(acme, title=f"w{number}", begins=number / 60, site_ids=[site.id])

        first, second = (noc.get(LIST, {"page": n}).context["page"] for n in (1, 2))

        assert (len(first.rows), len(second.rows), first.pager.total) == (50, 1, 51)
        assert second.rows[0].window.title == "w50"

    def test_costs_the_same_for_one_window_and_for_twenty(self, acme, noc, site):
        with acting_in(acme):
            devices = [row.id for row in site.devices.all()]
        open_window(acme, site_ids=[site.id], device_ids=devices[:1])
        few = queries(lambda: noc.get(LIST))
        for _ in range(19):
            open_window(acme, site_ids=[site.id], device_ids=devices)

        assert queries(lambda: noc.get(LIST)) == few

    def test_readers_get_no_link_to_the_form(self, log_in, acme_readonly, three):
        client = log_in(acme_readonly)

        assert PLAN not in client.get(LIST).content.decode()
        assert client.get(PLAN).status_code == client.post(PLAN, wish()).status_code == 403


class TestPlanning:
    def test_is_prefilled_by_the_page_that_leads_there(self, noc, site):
        answer = noc.get(PLAN, {"site": site.id})

        assert answer.context["targets"].site_ids == [site.id]
        preview = answer.context["preview"]
        assert (preview.devices, len(preview.names), preview.more) == (8, 6, 2)
        assert "8 devices : r0, r1, r2, r3, r4, r5 and 2 more" in text_of(answer)

    @pytest.mark.parametrize("kind", ["site", "device", "incident"])
    def test_a_missing_target_is_404(self, noc, kind):
        assert noc.get(PLAN, {kind: NOWHERE}).status_code == 404

    def test_saves_with_the_last_button_alone(self, acme, noc, site):
        form = wish(site=site.id, reason="old one hums")

        looked = noc.post(PLAN, form | {"step": "search"})
        assert windows(acme) == []
        assert looked.context["is_clean"]
        answer = noc.post(PLAN, form)

        assert (answer.status_code, answer["Location"]) == (302, LIST)
        (window,) = windows(acme)
        assert (window.title, window.reason) == ("Power supply", "old one hums")
        assert window.site_ids == [site.id]
        assert window.ends_at - window.starts_at == timedelta(hours=1)
        with acting_in(acme):
            record = Record.objects.get(action="maintenance_window.planned")
        assert record.entity_id == str(window.id)

    @pytest.mark.parametrize("minutes", [30, 60, 120, 240])
    def test_a_preset_duration_is_stored(self, acme, noc, site, minutes):
        noc.post(PLAN, wish(site=site.id, length=str(minutes)))

        (window,) = windows(acme)
        assert window.ends_at - window.starts_at == timedelta(minutes=minutes)

    def test_moments_are_read_as_utc_and_an_end_counts_before_a_length(self, acme, noc, site):
        day = clock.now().date() + timedelta(days=2)
        times = {"starts_at": f"{day}T22:00", "ends_at": f"{day}T23:30"}

        noc.post(PLAN, wish(site=site.id, **times))

        (window,) = windows(acme)
        assert window.starts_at.isoformat() == f"{day}T22:00:00+00:00"
        assert window.ends_at.isoformat() == f"{day}T23:30:00+00:00"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"title": ""}, "title"),
            ({"title": "x" * 201}, "title"),
            ({"length": "7"}, "length"),
            ({"starts_at": "soon"}, "starts_at"),
            ({"starts_at": "2020-01-01T00:00"}, "starts_at"),
            ({"ends_at": "2020-01-01T00:00"}, "ends_at"),
            ({"ends_at": "2096-01-01T00:00"}, "ends_at"),
            ({"site": ""}, "__all__"),
            ({"site": NOWHERE}, "__all__"),
            ({"device": NOWHERE}, "__all__"),
        ],
    )
    def test_an_error_is_shown_beside_its_field(self, acme, noc, site, changes, field):
        answer = noc.post(PLAN, wish(site=site.id) | changes)

        assert answer.status_code == 422
        assert set(answer.context["form"].errors) == {field}
        assert answer.content.decode().count('class="error-message"') == 1
        assert windows(acme) == []

    def test_finds_by_name_without_a_script_and_keeps_what_was_typed(self, noc, site):
        form = {"title": "", "reason": "hums", "length": "120", "q": "r3", "step": "search"}

        answer = noc.post(PLAN, form)

        assert answer.status_code == 200
        assert [row.name for row in answer.context["found"].devices] == ["r3"]
        assert "hums" in answer.content.decode()
        assert 'class="error-message"' not in answer.content.decode()
        chosen = noc.post(PLAN, form | {"device": answer.context["found"].devices[0].id})
        assert chosen.context["found"].is_empty
        assert chosen.context["preview"].names == ("r3",)

    @pytest.mark.parametrize("part", ["targets", "preview"])
    def test_htmx_gets_the_partial_of_its_target(self, acme, noc, site, part):
        headers = {"HX-Request": "true", "HX-Target": part}

        answer = noc.post(PLAN, {"site": site.id, "q": "r"}, headers=headers)

        assert answer.status_code == 200
        assert answer.content.decode().strip().startswith(("<div", "<section"))
        assert f'id="{part}"' in answer.content.decode()
        assert windows(acme) == []

    def test_the_form_costs_the_same_for_one_device_and_for_many(self, acme, noc, site):
        with acting_in(acme):
            small = make_site("south")
            make_device("s1", site=small, management_address="127.21.0.1")
        few, many = (
            queries(lambda pk=pk: noc.get(PLAN, {"site": pk})) for pk in (small.id, site.id)
        )

        assert few == many


class TestPreview:
    """The backhaul of the PoP is cut: one incident, whose cause is the link."""

    @pytest.fixture
    def incident(self, stage, _now):
        return stage.open_incident()

    def test_an_incident_leads_to_where_its_cause_is(self, noc, stage, incident):
        answer = noc.get(PLAN, {"incident": incident.id})

        assert answer.context["targets"].device_ids == [stage.devices["cr2"].id]
        held = answer.context["preview"].incidents
        assert [row.number for row in held] == [incident.number]

    @pytest.mark.parametrize("name", ["cr1", "cr2", "er1", "agg1", "bng1"])
    def test_preview_matches_the_result_of_correlation(
        self, acme, acme_noc, noc, stage, incident, name
    ):
        device = stage.devices[name]
        preview = noc.get(PLAN, {"device": device.id}).context["preview"]
        with acting_in(acme):
            services.plan_window(
                title="Work",
                starts_at=stage.at(48),
                ends_at=stage.at(4000),
                device_ids=[device.id],
                actor=ACTOR,
                at=stage.at(48),
            )

        stage.evaluate(49)

        with acting_in(acme):
            incident.refresh_from_db()
        assert incident.notifications_suppressed == bool(preview.incidents)
        assert (name in {"cr2", "agg1"}) == incident.notifications_suppressed

    def test_critical_incidents_that_still_notify_are_not_listed(self, acme, noc, stage, incident):
        with acting_in(acme):
            type(incident).objects.update(severity="critical")

        form = {"device": stage.devices["cr2"].id, "notify_critical": "on"}

        assert noc.post(PLAN, form).context["preview"].incidents == ()

    def test_says_how_many_alerts_are_open_there(self, noc, stage, incident):
        answer = noc.get(PLAN, {"site": stage.devices[CUT_OFF_ROUTERS[0]].site_id})

        assert answer.context["preview"].alerts > 0
        assert f"{answer.context['preview'].alerts} open alert" in text_of(answer)


class TestEnding:
    @pytest.mark.parametrize(("begins", "word"), [(-1, "End “Swap” now"), (3, "Cancel “Swap”")])
    def test_asks_for_confirmation_and_ends_the_window(self, acme, noc, site, begins, word):
        window = open_window(acme, begins=begins, site_ids=[site.id])
        url = reverse("console:end-window", args=[window.id])

        assert word in text_of(noc.get(url))
        answer = noc.post(url)

        assert answer["Location"] == LIST
        assert windows(acme)[0].ended_at is not None
        assert noc.get(url).status_code == noc.post(url).status_code == 409

    def test_another_tenant_s_is_not_there(self, log_in, globex_admin, acme, site):
        window = open_window(acme, site_ids=[site.id])
        url = reverse("console:end-window", args=[window.id])

        assert log_in(globex_admin).post(url).status_code == 404
        assert windows(acme)[0].ended_at is None


class TestNotices:
    @pytest.mark.parametrize(
        ("begins", "words"), [(-1, "In maintenance : Swap"), (3, "Maintenance planned : Swap")]
    )
    def test_a_site_and_its_devices_show_it(self, acme, noc, site, begins, words):
        open_window(acme, begins=begins, site_ids=[site.id])
        with acting_in(acme):
            device = site.devices.first()

        for url in (
            reverse("console:site", args=[site.id]),
            reverse("console:device", args=[device.id]),
        ):
            assert words.replace(" :", ":") in text_of(noc.get(url)).replace(" :", ":")

    def test_past_windows_and_those_of_other_sites_are_not_shown(self, acme, noc, site):
        open_window(acme, begins=-5, site_ids=[site.id])
        with acting_in(acme):
            other = make_site("south")
        open_window(acme, site_ids=[other.id])

        assert noc.get(reverse("console:site", args=[site.id])).context["page"].notices == ()


class TestLimited:
    @pytest.fixture
    def granted(self, acme, acme_noc, limited, site):
        with acting_in(acme):
            device = site.devices.order_by("name").first()
            grant(user_id=acme_noc.id, row=device, actor=ACTOR, at=clock.now())
        return device

    def test_plans_and_ends_work_on_what_was_granted(self, acme, limited, granted):
        assert limited.post(PLAN, wish(device=granted.id)).status_code == 302
        (window,) = windows(acme)

        assert limited.get(LIST).context["page"].running == 1
        assert limited.post(reverse("console:end-window", args=[window.id])).status_code == 302

    def test_neither_finds_nor_covers_what_is_outside(self, acme, limited, granted, site):
        with acting_in(acme):
            outside = site.devices.order_by("name").last()

        for target in ({"site": site.id}, {"device": outside.id}):
            assert limited.get(PLAN, target).status_code == 404
            assert limited.post(PLAN, wish(**target)).status_code == 422
        found = limited.post(PLAN, {"q": "r", "step": "search"}).context["found"]
        assert [row.name for row in found.devices] == [granted.name]
        assert found.sites == ()
        assert windows(acme) == []

    def test_a_window_that_covers_more_is_not_shown(self, acme, limited, granted, site):
        wide = open_window(acme, site_ids=[site.id], device_ids=[granted.id])
        open_window(acme, title="Ours", device_ids=[granted.id])

        assert [row.window.title for row in limited.get(LIST).context["page"].rows] == ["Ours"]
        assert limited.post(reverse("console:end-window", args=[wide.id])).status_code == 404
        page = limited.get(reverse("console:device", args=[granted.id])).context["page"]
        assert [notice.title for notice in page.notices] == ["Ours"]


def test_rows_lead_to_the_form_for_whoever_may_plan(log_in, acme_noc, acme_readonly, site):
    leads = f'data-plan="{PLAN}?site={site.id}"'
    url = reverse("console:sites")

    assert leads in log_in(acme_noc).get(url).content.decode()
    assert leads not in log_in(acme_readonly).get(url).content.decode()


@pytest.mark.usefixtures("_now")
def test_open_alerts_of_a_stage_are_what_the_preview_counts(acme, noc, stage):
    stage.open_incident()
    everywhere = {row.site_id for row in stage.devices.values()}

    counted = noc.post(PLAN, {"site": [str(pk) for pk in everywhere]}).context["preview"].alerts

    with acting_in(acme):
        assert counted == Alert.objects.filter(state__in=["firing", "recovering"]).count() > 0
