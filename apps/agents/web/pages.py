"""What the page of agents shows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.agents.choices import AgentStatus
from apps.agents.selectors import AgentHealth, visible_agent_health
from apps.agents.services.quarantine import QUIET
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.pages.durations import format_duration, format_seconds
from apps.pages.states import OK, State

SILENT = State("blind", "blind", _lazy("Silent"), 0)
CONFLICT = State("critical", "critical", _lazy("Two hosts"), 0)
SKEWED = State("warn", "warn", _lazy("Wrong clock"), 1)
QUARANTINE = State("warn", "warn", _lazy("Data quarantined"), 1)
BEHIND = State("warn", "warn", _lazy("Behind"), 1)
EXPIRED = State("warn", "warn", _lazy("Certificate ends"), 2)
PENDING = State("info", "info", _lazy("Not enrolled"), 3)
REVOKED = State("off", "minus", _lazy("Revoked"), 8)

#: Readings that wait longer than this are not what the screen should call now.
BEHIND_AFTER_SECONDS = 60
#: Agents renew by themselves long before this.
CERTIFICATE_WARNING = timedelta(days=2)


@dataclass(frozen=True)
class AgentRow:
    """One agent."""

    id: UUID
    name: str
    state: State
    why: str
    site: str
    version: str
    hostname: str
    heard_at: datetime | None
    heard_ago: str
    buffer: str
    buffer_age: str
    reads: int
    probes: int
    certificate_ends_at: datetime | None
    certificate_left: str
    is_certificate_short: bool


@dataclass(frozen=True)
class AgentsPage:
    """All agents, worst first."""

    rows: tuple[AgentRow, ...]
    silent: int
    well: int
    #: Devices that silent agents read or judge.
    unseen: int
    can_manage: bool


def agents_page(access: Access, *, at: datetime) -> AgentsPage:
    """Seven queries."""
    rows = agent_rows(access, at=at)
    silent = [row for row in rows if row.state is SILENT]
    return AgentsPage(
        rows=rows,
        silent=len(silent),
        well=sum(1 for row in rows if row.state is OK),
        unseen=sum(max(row.reads, row.probes) for row in silent),
        can_manage=access.may(Permission.AGENTS_MANAGE),
    )


def agent_rows(access: Access, *, at: datetime) -> tuple[AgentRow, ...]:
    """Agents as rows, worst first."""
    rows = [_row(health, at) for health in visible_agent_health(access, at)]
    return tuple(sorted(rows, key=lambda row: (row.state.rank, row.name)))


def _row(health: AgentHealth, at: datetime) -> AgentRow:
    agent, ends = health.agent, health.certificate_ends_at
    is_short = ends is not None and ends - at < CERTIFICATE_WARNING
    said: dict[str, Any] = agent.health if health.alive else {}
    depth, age = said.get("buffer_depth"), said.get("buffer_age_seconds")
    state, why = _state(health, at, is_short=is_short, age=age)
    return AgentRow(
        id=agent.id,
        name=agent.name,
        state=state,
        why=why,
        site=agent.site.name if agent.site else "",
        version=agent.version,
        hostname=agent.hostname,
        heard_at=agent.last_heartbeat_at,
        heard_ago=format_duration(agent.last_heartbeat_at, at) if agent.last_heartbeat_at else "",
        buffer="" if depth is None else f"{depth:.0f}",
        buffer_age=format_seconds(age) if age else "",
        reads=health.reads,
        probes=health.probes,
        certificate_ends_at=ends,
        certificate_left=format_duration(at, ends) if ends and ends > at else "",
        is_certificate_short=is_short,
    )


def _state(
    health: AgentHealth, at: datetime, *, is_short: bool, age: float | None
) -> tuple[State, str]:
    if health.agent.status == AgentStatus.PENDING:
        return PENDING, _("Waits for its enrollment token to be used")
    if health.agent.status == AgentStatus.REVOKED:
        return REVOKED, ""
    return _state_of_active(health, at, is_short=is_short, age=age)


def _state_of_active(
    health: AgentHealth, at: datetime, *, is_short: bool, age: float | None
) -> tuple[State, str]:
    if health.agent.conflict_at is not None:
        return CONFLICT, _("Two hosts use its identity; enroll one of them again")
    if not health.alive:
        return SILENT, _("What it watches may be up or down: nobody can see it from there")
    if _is_quarantined(health, at):
        return QUARANTINE, _(
            "It sends data about entities that are not assigned to it: %(number)s items so far"
        ) % {"number": health.quarantined}
    if health.agent.skewed_since is not None:
        return SKEWED, _("Its clock is more than a minute off")
    if age is not None and age > BEHIND_AFTER_SECONDS:
        return BEHIND, _("Its oldest reading waits for %(time)s") % {"time": format_seconds(age)}
    return (EXPIRED, _("Its certificate was not renewed in time")) if is_short else (OK, "")


def _is_quarantined(health: AgentHealth, at: datetime) -> bool:
    return health.quarantined_at is not None and at - health.quarantined_at < QUIET
