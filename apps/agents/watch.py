"""What a heartbeat gives away beyond "alive": a wrong clock, a second host under one identity, a certificate near its
end. Pure: what was known and what was seen go in, what is known now and what must be told come out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

SKEW_SECONDS = 60.0
#: The clock has to be this much better again before it counts as right.
SKEW_OVER_SECONDS = 50.0
#: A heartbeat of an ended start that was on its way meanwhile is no second host.
ON_ITS_WAY = timedelta(seconds=5)
KEPT_BOOTS = 5
#: Share of a certificate's life that is left, in percent, and how grave that is. Agents renew at half of it.
EXPIRY_LEVELS = ((10, "critical"), (25, "warn"), (50, "info"))


@dataclass(frozen=True)
class Sighting:
    """One heartbeat as it came in; ``sent_at`` is by the agent's clock."""

    boot_id: UUID | None = None
    sent_at: datetime | None = None
    address: str = ""
    serial: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None


@dataclass(frozen=True)
class Known:
    """What is remembered of an agent between heartbeats."""

    boot_id: UUID | None = None
    boot_since: datetime | None = None
    former_boots: tuple[str, ...] = ()
    address: str = ""
    skewed_since: datetime | None = None
    conflict_at: datetime | None = None
    #: ``serial:percent`` of the last warning.
    expiry_told: str = ""


@dataclass(frozen=True)
class Notice:
    """Something that people must hear."""

    event_type: str
    severity: str
    payload: Mapping[str, Any] = field(default_factory=dict)


def look_at(known: Known, seen: Sighting, at: datetime) -> tuple[Known, list[Notice]]:
    """Compare a heartbeat with what is known of its agent."""
    notices: list[Notice] = []
    for rule in (_clock, _hosts, _expiry):
        known, notice = rule(known, seen, at)
        if notice is not None:
            notices.append(notice)
    return replace(known, address=seen.address or known.address), notices


def _clock(known: Known, seen: Sighting, at: datetime) -> tuple[Known, Notice | None]:
    if seen.sent_at is None:
        return known, None
    skew = (seen.sent_at - at).total_seconds()
    said = {"skew_seconds": round(skew, 3)}
    if known.skewed_since is None and abs(skew) > SKEW_SECONDS:
        return replace(known, skewed_since=at), Notice(
            "agent.clock.skewed", "warn", {"state": "open", **said}
        )
    if known.skewed_since is not None and abs(skew) <= SKEW_OVER_SECONDS:
        return replace(known, skewed_since=None), Notice(
            "agent.clock.skewed", "info", {"state": "closed", **said}
        )
    return known, None


def _hosts(known: Known, seen: Sighting, at: datetime) -> tuple[Known, Notice | None]:
    """A start that was followed by another does not come back, unless two hosts (or a host and its snapshot) run."""
    if seen.boot_id is None or seen.boot_id == known.boot_id:
        return known, None
    came_back = str(seen.boot_id) in known.former_boots
    is_late = known.boot_since is not None and at - known.boot_since < ON_ITS_WAY
    if came_back and is_late:
        return known, None
    former = [str(known.boot_id)] if known.boot_id else []
    former += [boot for boot in known.former_boots if boot not in {*former, str(seen.boot_id)}]
    moved = replace(
        known, boot_id=seen.boot_id, boot_since=at, former_boots=tuple(former[:KEPT_BOOTS])
    )
    if not came_back or known.conflict_at is not None:
        return moved, None
    said = {"boot_ids": [str(seen.boot_id), *former[:1]]}
    addresses = sorted({seen.address, known.address} - {""})
    return replace(moved, conflict_at=at), Notice(
        "agent.identity.conflicted", "critical", {**said, "addresses": addresses}
    )


def _expiry(known: Known, seen: Sighting, at: datetime) -> tuple[Known, Notice | None]:
    if seen.not_before is None or seen.not_after is None:
        return known, None
    left = (seen.not_after - at) / (seen.not_after - seen.not_before) * 100
    for percent, severity in EXPIRY_LEVELS:
        if left > percent:
            continue
        mark = f"{seen.serial}:{percent}"
        if mark == known.expiry_told:
            break
        return replace(known, expiry_told=mark), Notice(
            "certificate.expiring",
            severity,
            {"serial": seen.serial, "percent_left": percent, "ends": seen.not_after.isoformat()},
        )
    return known, None
