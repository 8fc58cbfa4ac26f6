"""The NOC home: open incidents, offline agents, devices by state, degradations."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import get_language

from apps.agents.web.pages import OFFLINE as AGENT_OFFLINE
from apps.agents.web.pages import AgentRow, agent_rows
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.console.web.day_strip import Day, day_of
from apps.console.web.degradations import Degradations, degradations
from apps.console.web.service_tiles import Tile, service_tiles
from apps.console.web.sites import Counted, SiteRow, devices_by_site, site_rows
from apps.console.web.states import REACHABILITY_STATES
from apps.core.local_cache import cached
from apps.incidents.lists import INCIDENTS
from apps.incidents.web.ordering import WORST
from apps.incidents.web.pages import QueuePage, queue_page
from apps.pages.durations import format_duration
from apps.pages.ordering import SORT
from apps.pages.states import State
from apps.telemetry.reachability import Reachability

MAX_INCIDENTS = 12
MAX_ROWS = 8
#: Cache time of tiles and degradations, which cover 24 hours.
CACHE_SECONDS = 20


@dataclass(frozen=True)
class ReachabilityCount:
    """The number of devices in one state; the URL lists them."""

    state: State
    number: int
    query: str


@dataclass(frozen=True)
class HomePage:
    """The data of the home page."""

    queue: QueuePage
    unacknowledged: int
    critical: int
    more_incidents: int
    day: Day
    reachability: tuple[ReachabilityCount, ...]
    devices: int
    sites: tuple[SiteRow, ...]
    problem_sites: int
    all_sites: int
    agents: tuple[AgentRow, ...]
    all_agents: int
    healthy_agents: int
    offline_agents: tuple[AgentRow, ...]
    blind: int
    #: No incident, no problem and nothing unmonitored.
    is_quiet: bool
    quiet_duration: str
    may_view_agents: bool
    tiles: tuple[Tile, ...]
    degraded: Degradations


def home_page(access: Access, *, at: datetime) -> HomePage:
    """Thirteen queries, whatever the size; at most seventeen more for tiles and degradations that are too old."""
    queue = queue_page(access, INCIDENTS.page_params({SORT: str(WORST)}), at=at, most=MAX_INCIDENTS)
    counted = devices_by_site(access, at=at)
    sites = site_rows(access, counted)
    problems = [row for row in sites if row.state.is_problem]
    agents = agent_rows(access, at=at)
    offline = tuple(row for row in agents if row.state is AGENT_OFFLINE)
    counts = reachability_counts(counted)
    tiles, degraded = _tiles_and_degradations(access, at)
    return HomePage(
        queue=queue,
        unacknowledged=sum(1 for row in queue.rows if not row.acked_by),
        critical=sum(1 for row in queue.rows if row.severity == "critical"),
        more_incidents=queue.total - len(queue.rows),
        day=day_of(access, start=at - timedelta(hours=24), end=at),
        reachability=counts,
        devices=sum(count.number for count in counts),
        sites=tuple(problems[:MAX_ROWS]),
        problem_sites=len(problems),
        all_sites=len(sites),
        agents=agents[:MAX_ROWS],
        all_agents=len(agents),
        healthy_agents=sum(1 for row in agents if row.state.look == "ok"),
        offline_agents=offline,
        blind=next(count.number for count in counts if count.query == Reachability.BLIND),
        may_view_agents=access.may(Permission.AGENTS_VIEW),
        quiet_duration=format_duration(queue.last_closed_at, at) if queue.last_closed_at else "",
        tiles=tiles,
        degraded=degraded,
        is_quiet=not queue.total_open
        and not offline
        and not any(count.number for count in counts if count.state.is_problem),
    )


def _tiles_and_degradations(access: Access, at: datetime) -> tuple[tuple[Tile, ...], Degradations]:
    """Cached for members with access to the whole tenant. For limited members grants may change at any time."""

    def make() -> tuple[tuple[Tile, ...], Degradations]:
        return service_tiles(access, at=at), degradations(access, at=at)

    if access.is_limited:
        return make()
    key = f"home:{access.tenant.id}:{access.role}:{get_language()}"
    return cached(key, seconds=CACHE_SECONDS, compute=make)


def reachability_counts(by_site: Counted) -> tuple[ReachabilityCount, ...]:
    """Up, down, blind, unknown of these devices."""
    counted = sum(by_site.values(), start=Counter[str]())
    return tuple(
        ReachabilityCount(state, counted[word], str(word))
        for word, state in REACHABILITY_STATES.items()
    )
