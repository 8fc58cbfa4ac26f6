"""Seeding: a generated ISP and its neighbor, with their history."""

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
from apps.lab.seed.samples import BACK, Episode, SampleWriter
from apps.lab.seed.sizes import NEIGHBOR, SIZES, Size
from apps.lab.seed.stories import Story, draw_stories
from apps.lab.seed.users import USERS, write_users
from apps.telemetry.models import Latest
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

PACK = "first"
Echo = Callable[[str], None]


class OtherSeed(DomainError):
    """The tenant of that name was created by another seed."""

    default_code = "other_seed"


@dataclass(frozen=True)
class Seeded:
    """The seeded tenant and its row counts."""

    tenant: Tenant
    is_new: bool
    devices: int
    incidents: int
    open_incidents: int
    samples: int


def seed_demo(*, size: str, seed: int, password: str, at: datetime, echo: Echo) -> list[Seeded]:
    """The ISP of this size and its neighbor. Idempotent: an existing tenant gets its users' password and the
    samples since the last run, nothing else. Raises OtherSeed.
    """
    return [
        _seed(wanted, seed, password=password, at=at, echo=echo)
        for wanted in (SIZES[size], NEIGHBOR)
    ]


def _seed(size: Size, seed: int, *, password: str, at: datetime, echo: Echo) -> Seeded:
    network = draw_network(size, seed)
    known = Tenant.objects.filter(slug=size.slug).first()
    if known is not None and known.id != network.space:
        raise OtherSeed(message=f"{size.slug} exists already and was not created by seed {seed}.")
    first_at = _first_moment(known) if known else at
    stories = draw_stories(network, seed, at=first_at)
    if known is None:
        # All or nothing: an incomplete network would be taken for a complete one.
        with transaction.atomic():
            known = _make(network, stories, password=password, at=at, echo=echo)
    else:
        write_users(known, network, password=password, at=at)
    echo(f"{size.title}: samples ...")
    with acting_in(known):
        samples = _bring_up_to_date(network, stories, at)
        incidents = Incident.objects.count()
        still_open = Incident.objects.filter(status="open").count()
        devices = Device.objects.count()
    _analyse()
    return Seeded(known, first_at == at, devices, incidents, still_open, samples)


def _first_moment(tenant: Tenant) -> datetime:
    """When the tenant was seeded: its history ends there."""
    return tenant.created_at


def _make(
    network: Network, stories: list[Story], *, password: str, at: datetime, echo: Echo
) -> Tenant:
    size = network.size
    tenant = Tenant.objects.create(id=network.space, slug=size.slug, name=size.title)
    Tenant.objects.filter(pk=tenant.pk).update(created_at=at)
    record_platform(action="tenant.created", actor=SEEDER, entity=("tenant", tenant.id), at=at)
    began = at - size.history - timedelta(days=1)
    echo(f"{size.title}: {len(network.devices)} devices, {len(network.links)} links ...")
    with acting_in(tenant):
        write_network(network, at=began)
        alerts.install_pack(pack=PACK, actor=SEEDER, at=began)
    users = write_users(tenant, network, password=password, at=began)
    shift = users[: len(USERS) // 2]
    echo(f"{size.title}: {len(stories)} incidents ...")
    with acting_in(tenant):
        written = HistoryWriter(network, shift, at=at).write(stories)
        write_events(network, stories, at=at)
        echo(f"{size.title}: {written} alerts; webhooks ...")
        write_ledger(network, at=at)
        write_windows(network, shift, at=at)
    return tenant


def _bring_up_to_date(network: Network, stories: list[Story], at: datetime) -> int:
    """Update heartbeats and write the samples since the last run. Call it inside the tenant."""
    offline = {story.failure.offline_agent: story.began for story in stories if story.ended is None}
    for row in network.agents:
        Agent.objects.filter(pk=row.id).update(
            last_heartbeat_at=offline.get(row.id, at),
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
    return SampleWriter(network, episodes).write(since=last, at=at)


def _analyse() -> None:
    """Update the planner's statistics, so that the first query has the same plan as later ones."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
