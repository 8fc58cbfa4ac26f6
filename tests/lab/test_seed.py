"""The made-up ISP: the same seed makes the same, all of it tells one truth, and a second run adds nothing."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from django.urls import reverse

from apps.accounts.models import User
from apps.alerts.models import Alert, AlertTransition
from apps.audit.verification import verify_tenant_chain
from apps.core import clock
from apps.delivery.models import Delivery
from apps.incidents.models import Incident, IncidentAlert, Revision, TimelineEntry
from apps.incidents.services import replay_revision
from apps.inventory.models import Device, Interface, Link, Site, SiteGrant
from apps.lab.seed.branches import branches_of
from apps.lab.seed.failures import diagnose_failure, draw_failure
from apps.lab.seed.network import draw_network
from apps.lab.seed.run import OtherSeed, seed_demo
from apps.lab.seed.samples import grid
from apps.lab.seed.sizes import NEIGHBOR, SIZES
from apps.lab.seed.stories import draw_stories
from apps.telemetry.reachability import Reachability, reachability_of_devices
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from tests.clients import bearer, listed

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PASSWORD = "a-password-of-tests"


def quiet(_line: str) -> None:
    """Nobody reads it."""


@pytest.fixture
def tiny(monkeypatch):
    """Lakeside alone: the neighbour is as much of an ISP as the big one."""
    monkeypatch.setattr("apps.lab.seed.run.SIZES", {"small": NEIGHBOR})
    monkeypatch.setattr("apps.lab.seed.run.NEIGHBOR", NEIGHBOR)

    def seed(number: int = 7, at: datetime | None = None) -> Tenant:
        at = at or clock.now().replace(microsecond=0)
        return seed_demo(size="small", seed=number, password=PASSWORD, at=at, echo=quiet)[0].tenant

    return seed


def counts() -> dict[str, int]:
    models = (Site, Device, Interface, Link, Incident, Alert, AlertTransition, IncidentAlert)
    return {
        model.__name__: model.objects.count()
        for model in (*models, Revision, TimelineEntry, Delivery)
    }


class TestDrawing:
    def test_the_same_seed_draws_the_same_network(self):
        one, other = (draw_network(SIZES["small"], 3) for _ in range(2))

        assert [d.id for d in one.devices] == [d.id for d in other.devices]
        assert [link.id for link in one.links] == [link.id for link in other.links]
        assert one.space != draw_network(SIZES["small"], 4).space

    def test_large_has_its_size(self):
        network = draw_network(SIZES["large"], 7)

        assert len(network.devices) == 5_000
        assert len(network.sites) == 500
        assert sum(len(device.ports) for device in network.devices) >= 100_000
        assert len({device.address for device in network.devices}) == 5_000
        assert len({link.name for link in network.links}) == len(network.links)
        assert all(len(set(device.ports)) == len(device.ports) for device in network.devices)

    def test_a_history_has_its_size_and_no_two_failures_at_once_in_one_branch(self):
        size = SIZES["small"]
        stories = draw_stories(draw_network(size, 7), 7, at=NOON)

        assert len(stories) == size.incidents
        assert sum(1 for story in stories if story.ended is None) == size.open_incidents
        last: dict[str, datetime] = {}
        for story in stories:
            assert last.get(story.failure.branch.key, story.began) <= story.began
            last[story.failure.branch.key] = story.ended or datetime.max.replace(tzinfo=UTC)

    @pytest.mark.parametrize("seed", range(20))
    def test_one_failure_is_one_problem(self, seed):
        rng = Random(seed)
        network = draw_network(SIZES["small"], seed)
        failure = draw_failure(rng.choice(branches_of(network)), rng)
        ids = {sign: network.id_of("alert", n) for n, sign in enumerate(failure.signs)}

        diagnosed = diagnose_failure(failure, began=NOON, alert_ids=ids)

        assert len(diagnosed.verdict.problems) == 1
        assert diagnosed.snapshot.at - NOON >= timedelta(seconds=10)

    def test_a_later_grid_continues_an_earlier_one(self):
        until = NOON + timedelta(minutes=30)

        early, late = grid(None, NOON), grid(NOON, until)

        assert late[0] > early[-1] == NOON
        assert {m for m in grid(None, until) if m > NOON} == set(late)


class TestSeed:
    def test_all_rows_are_consistent(self, tiny):
        tenant = tiny()

        with acting_in(tenant):
            still_open = Incident.objects.get(status="open")
            reach = reachability_of_devices(clock.now())
            unreachable = {
                row.entity_id
                for row in IncidentAlert.objects.filter(incident=still_open, kind="unreachable")
            }
            assert {pk for pk, word in reach.items() if word == Reachability.DOWN} == unreachable
            assert len(reach) == NEIGHBOR.devices == Device.objects.count()
            assert verify_tenant_chain() is None
            assert Link.objects.filter(a_interface=None).count() == 0
            assert SiteGrant.objects.get().user.email == f"field@{NEIGHBOR.domain}"
            assert Alert.objects.exclude(state="ok").count() == still_open.alerts.count()
            for revision in Revision.objects.all():
                assert replay_revision(revision).is_same
            for incident in Incident.objects.exclude(status="open"):
                kinds = set(incident.timeline.values_list("kind", flat=True))
                assert {"opened", "alert", "recovery", "closed"} <= kinds

    def test_a_second_run_adds_samples_only(self, tiny):
        at = clock.now().replace(microsecond=0) - timedelta(minutes=5)
        tenant = tiny(at=at)
        with acting_in(tenant):
            before = counts()

        tiny(at=at + timedelta(minutes=5))

        with acting_in(tenant):
            assert counts() == before
            assert Reachability.UP in set(
                reachability_of_devices(at + timedelta(minutes=5)).values()
            )

    def test_its_pages_and_api_work(self, tiny, client):
        tenant = tiny()
        noc = User.objects.get(email=f"noc@{NEIGHBOR.domain}")
        client.force_login(noc)
        with acting_in(tenant):
            incident = Incident.objects.order_by("-number").first()
            device = Device.objects.order_by("name").first()

        for path in (
            *(reverse(f"console:{name}") for name in ("home", "devices", "sites", "alerts")),
            reverse("console:device", args=[device.id]),
            reverse("incidents:detail", args=[incident.id]),
            reverse("agents:list"),
            reverse("delivery:deliveries"),
        ):
            assert client.get(path).status_code == 200, path
        rows = listed(bearer(tenant, noc), "/api/v1/incidents/")
        assert rows[0]["number"] == incident.number

    def test_a_tenant_of_another_seed_is_left_alone(self, tiny):
        tiny(7)

        with pytest.raises(OtherSeed, match="not created by seed 8"):
            tiny(8)


@pytest.mark.long
def test_every_verdict_of_a_small_network_is_reached_again():
    at = clock.now().replace(microsecond=0)
    seeded_tenants = seed_demo(size="small", seed=11, password=PASSWORD, at=at, echo=quiet)

    for row in seeded_tenants:
        with acting_in(row.tenant):
            same = [replay_revision(revision).is_same for revision in Revision.objects.all()]
            assert verify_tenant_chain() is None
        print(f"{row.tenant.slug}: {len(same)} verdicts replayed")  # noqa: T201  (long runs say what they did)
        assert all(same)
