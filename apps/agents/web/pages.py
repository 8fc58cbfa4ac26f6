"""Data of the agents page."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.agents.choices import AgentStatus
from apps.agents.selectors import AgentHealth, visible_agent_health
from apps.agents.services.quarantine import CLEAR_AFTER
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.pages.durations import format_duration, format_seconds
from apps.pages.states import OK, State

OFFLINE = State("blind", "blind", _lazy("Offline"), 0)
DUPLICATE = State("critical", "critical", _lazy("Duplicate agent"), 0)
CLOCK_SKEW = State("warn", "warn", _lazy("Clock skew"), 1)
QUARANTINE = State("warn", "warn", _lazy("Data quarantined"), 1)
BACKLOGGED = State("warn", "warn", _lazy("Backlogged"), 1)
CERTIFICATE_EXPIRING = State("warn", "warn", _lazy("Certificate expiring"), 2)
PENDING = State("info", "info", _lazy("Not enrolled"), 3)
REVOKED = State("off", "minus", _lazy("Revoked"), 8)

#: Samples that are buffered longer than this are not current.
BACKLOGGED_AFTER_SECONDS = 60
#: Agents renew automatically well before this.
CERTIFICATE_WARNING = timedelta(days=2)


@dataclass(frozen=True)
class AgentRow:
    """One row of the agents page."""

    id: UUID
    name: str
    state: State
    reason: str
    site: str
    version: str
    hostname: str
    last_heartbeat_at: datetime | None
    last_heartbeat_ago: str
    buffer: str
    buffer_age: str
    polled_devices: int
    probed_devices: int
    certificate_expires_at: datetime | None
    certificate_left: str
    is_certificate_expiring: bool


@dataclass(frozen=True)
class AgentsPage:
    """All agents, worst first."""

    rows: tuple[AgentRow, ...]
    offline: int
    ok: int
    #: Devices of offline agents.
    unmonitored_devices: int
    can_manage: bool


def agents_page(access: Access, *, at: datetime) -> AgentsPage:
    """All agents with totals. Seven queries."""
    rows = agent_rows(access, at=at)
    offline = [row for row in rows if row.state is OFFLINE]
    return AgentsPage(
        rows=rows,
        offline=len(offline),
        ok=sum(1 for row in rows if row.state is OK),
        unmonitored_devices=sum(max(row.polled_devices, row.probed_devices) for row in offline),
        can_manage=access.may(Permission.AGENTS_MANAGE),
    )


def agent_rows(access: Access, *, at: datetime) -> tuple[AgentRow, ...]:
    """Agents as rows, worst first."""
    rows = [_row(health, at) for health in visible_agent_health(access, at)]
    return tuple(sorted(rows, key=lambda row: (row.state.rank, row.name)))


def _row(health: AgentHealth, at: datetime) -> AgentRow:
    agent, expires_at = health.agent, health.certificate_expires_at
    is_expiring = expires_at is not None and expires_at - at < CERTIFICATE_WARNING
    reported: dict[str, Any] = agent.health if health.alive else {}
    depth, age = reported.get("buffer_depth"), reported.get("buffer_age_seconds")
    state, reason = _state(health, at, is_expiring=is_expiring, age=age)
    return AgentRow(
        id=agent.id,
        name=agent.name,
        state=state,
        reason=reason,
        site=agent.site.name if agent.site else "",
        version=agent.version,
        hostname=agent.hostname,
        last_heartbeat_at=agent.last_heartbeat_at,
        last_heartbeat_ago=format_duration(agent.last_heartbeat_at, at)
        if agent.last_heartbeat_at
        else "",
        buffer="" if depth is None else f"{depth:.0f}",
        buffer_age=format_seconds(age) if age else "",
        polled_devices=health.polled_devices,
        probed_devices=health.probed_devices,
        certificate_expires_at=expires_at,
        certificate_left=format_duration(at, expires_at) if expires_at and expires_at > at else "",
        is_certificate_expiring=is_expiring,
    )


def _state(
    health: AgentHealth, at: datetime, *, is_expiring: bool, age: float | None
) -> tuple[State, str]:
    if health.agent.status == AgentStatus.PENDING:
        return PENDING, _("Waiting for enrollment")
    if health.agent.status == AgentStatus.REVOKED:
        return REVOKED, ""
    return _state_of_active(health, at, is_expiring=is_expiring, age=age)


def _state_of_active(
    health: AgentHealth, at: datetime, *, is_expiring: bool, age: float | None
) -> tuple[State, str]:
    if health.agent.conflict_at is not None:
        return DUPLICATE, _("Cloned identity: two hosts use it. Enroll one of them again")
    if not health.alive:
        return OFFLINE, _("Its devices are not monitored: they may be up or down")
    if _is_quarantined(health, at):
        return QUARANTINE, _(
            "It sends data about entities that are not assigned to it: %(number)s items"
        ) % {"number": health.quarantined}
    if health.agent.skewed_since is not None:
        return CLOCK_SKEW, _skew(health.agent.clock_skew_seconds or 0.0)
    if age is not None and age > BACKLOGGED_AFTER_SECONDS:
        return BACKLOGGED, _("Oldest buffered sample: %(time)s") % {"time": format_seconds(age)}
    return (
        (CERTIFICATE_EXPIRING, _("Certificate was not renewed in time"))
        if is_expiring
        else (OK, "")
    )


def _skew(seconds: float) -> str:
    amount = {"time": format_seconds(abs(seconds))}
    if seconds > 0:
        return _("The clock is %(time)s ahead. The times of its data are corrected") % amount
    return _("The clock is %(time)s behind. The times of its data are corrected") % amount


def _is_quarantined(health: AgentHealth, at: datetime) -> bool:
    return health.quarantined_at is not None and at - health.quarantined_at < CLEAR_AFTER
