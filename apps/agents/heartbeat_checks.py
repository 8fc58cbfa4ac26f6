"""Checks of each heartbeat: clock skew, a second host with the same identity, certificate expiry. Pure: the old state
and a heartbeat go in, the new state and events come out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

#: Well below the shortest interval of probes. As in the rule ``agent_clock_skewed``.
SKEW_SECONDS = 2.0
#: Hysteresis: the skew must drop below this before it clears.
SKEW_CLEAR_SECONDS = 1.5
#: The skew is the largest of so many measurements: a heartbeat that was long on its way appears to be behind.
SKEW_MEASUREMENTS = 3
#: A heartbeat of the previous boot that arrives within this time after a restart is not a second host.
IN_FLIGHT_TOLERANCE = timedelta(seconds=5)
MAX_PREVIOUS_BOOTS = 5
#: Remaining lifetime of a certificate in percent, and the severity. Agents renew at 50 %.
EXPIRY_LEVELS = ((10, "critical"), (25, "warn"), (50, "info"))


@dataclass(frozen=True)
class HeartbeatInfo:
    """One received heartbeat; ``sent_at`` is by the agent's clock."""

    boot_id: UUID | None = None
    sent_at: datetime | None = None
    address: str = ""
    serial: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None


@dataclass(frozen=True)
class HeartbeatState:
    """The stored state of an agent between heartbeats."""

    boot_id: UUID | None = None
    boot_first_seen_at: datetime | None = None
    previous_boots: tuple[str, ...] = ()
    address: str = ""
    skewed_since: datetime | None = None
    #: The last measurements of this boot: the agent's clock minus the server's, in seconds.
    clock_skews: tuple[float, ...] = ()
    conflict_at: datetime | None = None
    #: ``serial:percent`` of the last expiry event.
    expiry_notified: str = ""


@dataclass(frozen=True)
class HeartbeatEvent:
    """An event to be stored."""

    event_type: str
    severity: str
    payload: Mapping[str, Any] = field(default_factory=dict)


def check_heartbeat(
    state: HeartbeatState, heartbeat: HeartbeatInfo, at: datetime
) -> tuple[HeartbeatState, list[HeartbeatEvent]]:
    """Compare a heartbeat with the stored state of its agent."""
    events: list[HeartbeatEvent] = []
    for check in (_check_clock, _check_hosts, _check_expiry):
        state, event = check(state, heartbeat, at)
        if event is not None:
            events.append(event)
    return replace(state, address=heartbeat.address or state.address), events


def _check_clock(
    state: HeartbeatState, heartbeat: HeartbeatInfo, at: datetime
) -> tuple[HeartbeatState, HeartbeatEvent | None]:
    """Call it before the boot id of ``state`` is updated: another boot's measurements say nothing of this one."""
    if heartbeat.sent_at is None:
        return state, None
    measured = (heartbeat.sent_at - at).total_seconds()
    before = state.clock_skews if heartbeat.boot_id == state.boot_id else ()
    state = replace(state, clock_skews=(*before, measured)[-SKEW_MEASUREMENTS:])
    skew = max(state.clock_skews)
    payload = {"skew_seconds": round(skew, 3)}
    if state.skewed_since is None and abs(skew) > SKEW_SECONDS:
        return replace(state, skewed_since=at), HeartbeatEvent(
            "agent.clock.skewed", "warn", {"state": "open", **payload}
        )
    if state.skewed_since is not None and abs(skew) <= SKEW_CLEAR_SECONDS:
        return replace(state, skewed_since=None), HeartbeatEvent(
            "agent.clock.skewed", "info", {"state": "closed", **payload}
        )
    return state, None


def _check_hosts(
    state: HeartbeatState, heartbeat: HeartbeatInfo, at: datetime
) -> tuple[HeartbeatState, HeartbeatEvent | None]:
    """A previous boot id returns only if two hosts (or a host and its snapshot) run."""
    if heartbeat.boot_id is None or heartbeat.boot_id == state.boot_id:
        return state, None
    has_returned = str(heartbeat.boot_id) in state.previous_boots
    is_late = (
        state.boot_first_seen_at is not None and at - state.boot_first_seen_at < IN_FLIGHT_TOLERANCE
    )
    if has_returned and is_late:
        return state, None
    previous = [str(state.boot_id)] if state.boot_id else []
    previous += [
        boot for boot in state.previous_boots if boot not in {*previous, str(heartbeat.boot_id)}
    ]
    updated = replace(
        state,
        boot_id=heartbeat.boot_id,
        boot_first_seen_at=at,
        previous_boots=tuple(previous[:MAX_PREVIOUS_BOOTS]),
    )
    if not has_returned or state.conflict_at is not None:
        return updated, None
    payload = {"boot_ids": [str(heartbeat.boot_id), *previous[:1]]}
    addresses = sorted({heartbeat.address, state.address} - {""})
    return replace(updated, conflict_at=at), HeartbeatEvent(
        "agent.identity.conflicted", "critical", {**payload, "addresses": addresses}
    )


def _check_expiry(
    state: HeartbeatState, heartbeat: HeartbeatInfo, at: datetime
) -> tuple[HeartbeatState, HeartbeatEvent | None]:
    if heartbeat.not_before is None or heartbeat.not_after is None:
        return state, None
    percent_left = (heartbeat.not_after - at) / (heartbeat.not_after - heartbeat.not_before) * 100
    for percent, severity in EXPIRY_LEVELS:
        if percent_left > percent:
            continue
        notification = f"{heartbeat.serial}:{percent}"
        if notification == state.expiry_notified:
            break
        return replace(state, expiry_notified=notification), HeartbeatEvent(
            "certificate.expiring",
            severity,
            {
                "serial": heartbeat.serial,
                "percent_left": percent,
                "ends": heartbeat.not_after.isoformat(),
            },
        )
    return state, None
