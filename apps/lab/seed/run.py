"""Seeding: a made-up ISP, its neighbour, and everything that happened to them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from apps.agents.models import Agent, AgentCertificate
from apps.alerts import services as alerts
from apps.audit.services import record_platform
from apps.core.errors import DomainError
from apps.incidents.models import Incident
from apps.inventory.models import Device
from apps.lab.seed.events import write_events
from apps.lab.seed.history import HistoryWriter
from apps.lab.seed.inventory import CERTIFICATE, SEEDER, write_network
from apps.lab.seed.ledger import write_ledger
from apps.lab.seed.maintenance import write_windows
from apps.lab.seed.network import Network, draw_network
from apps.lab.seed.people import PEOPLE, write_people
from apps.lab.seed.readings import BACK, Episode, Reader
from apps.lab.seed.sizes import NEIGHBOUR, SIZES, Size
from apps.lab.seed.stories import Story, draw_stories
from apps.telemetry.models import Latest
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

PACK = "first"
Say = Callable[[str], None]


class OtherSeed(DomainError):
    """The tenant of that name was not made by this seed."""

    default_code = "other_seed"


@dataclass(frozen=True)
class Seeded:
    """What is there now."""

    tenant: Tenant
    is_new: bool
    devices: int
    incidents: int
    open_incidents: int
    readings: int


def seed_demo(*, size: str, seed: int, password: str, at: datetime, say: Say) -> list[Seeded]:
    """The ISP of this size and its neighbour. Idempotent: a tenant that is there gets its people's password and the
    readings since, nothing else. Raises OtherSeed.
    """
    return [
        _seed(wanted, seed, password=password, at=at, say=say)
        for wanted in (SIZES[size], NEIGHBOUR)
    ]


def _seed(size: Size, seed: int, *, password: str, at: datetime, say: Say) -> Seeded:
    network = draw_network(size, seed)
    known = Tenant.objects.filter(slug=size.slug).first()
    if known is not None and known.id != network.space:
        raise OtherSeed(message=f"{size.slug} is there already and was not made by seed {seed}.")
    first_at = _first_moment(known) if known else at
    stories = draw_stories(network, seed, at=first_at)
    if known is None:
        # All of it or nothing: a half-made network would be taken for a whole one.
        with transaction.atomic():
            known = _make(network, stories, password=password, at=at, say=say)
    else:
        write_people(known, network, password=password, at=at)
    say(f"{size.title}: readings ...")
    with acting_in(known):
        readings = _bring_up_to_date(network, stories, at)
        incidents = Incident.objects.count()
        still_open = Incident.objects.filter(status="open").count()
        devices = Device.objects.count()
    _analyse()
    return Seeded(known, first_at == at, devices, incidents, still_open, readings)


def _first_moment(tenant: Tenant) -> datetime:
    """When the tenant was seeded: its history was drawn up to there."""
    return tenant.created_at


def _make(
    network: Network, stories: list[Story], *, password: str, at: datetime, say: Say
) -> Tenant:
    size = network.size
    tenant = Tenant.objects.create(id=network.space, slug=size.slug, name=size.title)
    Tenant.objects.filter(pk=tenant.pk).update(created_at=at)
    record_platform(action="tenant.created", actor=SEEDER, entity=("tenant", tenant.id), at=at)
    began = at - size.history - timedelta(days=1)
    say(f"{size.title}: {len(network.devices)} devices, {len(network.links)} links ...")
    with acting_in(tenant):
        write_network(network, at=began)
        alerts.install_pack(pack=PACK, actor=SEEDER, at=began)
    people = write_people(tenant, network, password=password, at=began)
    shift = people[: len(PEOPLE) // 2]
    say(f"{size.title}: {len(stories)} incidents ...")
    with acting_in(tenant):
        written = HistoryWriter(network, shift, at=at).write(stories)
        write_events(network, stories, at=at)
        say(f"{size.title}: {written} alerts; webhooks ...")
        write_ledger(network, at=at)
        write_windows(network, shift, at=at)
    return tenant


def _bring_up_to_date(network: Network, stories: list[Story], at: datetime) -> int:
    """Agents speak, readings come in. Call it inside the tenant."""
    silent = {story.failure.silent_agent: story.began for story in stories if story.ended is None}
    for row in network.agents:
        Agent.objects.filter(pk=row.id).update(
            last_heartbeat_at=silent.get(row.id, at),
            health={"buffer_depth": 0, "buffer_age_seconds": 0, "poll_errors": 0},
        )
    AgentCertificate.objects.filter(agent_id__in=[row.id for row in network.agents]).update(
        not_after=at + CERTIFICATE / 2
    )
    known = (
        Latest.objects.filter(series__metric="device.up")
        .order_by("-ts")
        .values_list("ts", flat=True)
    )
    last = known.first()
    episodes = [
        Episode(story.failure, story.began, story.ended)
        for story in stories
        if story.ended is None or story.ended > at - BACK
    ]
    return Reader(network, episodes).write(since=last, at=at)


def _analyse() -> None:
    """So that the first page is planned like the thousandth."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
