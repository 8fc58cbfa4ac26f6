"""Which entities an agent may report data for, cached briefly: its batches are about the same devices."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from agent.protocol.batch import FUTURE_SECONDS
from apps.agents.ownership import (
    AssignedDevices,
    assigned_among,
    assigned_site_ids,
    former_assignment_ends,
)
from apps.inventory.selectors import ResolvedEntity
from apps.tenancy.context import require_tenant_id

#: The end of an assignment takes effect within this time, a new assignment at once.
CACHE_LIFETIME = timedelta(seconds=15)
#: How long an assignment is still valid after its end: clocks differ, and the agent gets its new config later.
TOLERANCE = timedelta(seconds=FUTURE_SECONDS)
#: Metrics and events of reachability: from the probing agent, where that is not the polling one.
REACHABILITY = frozenset({"device.up", "device.reachable.changed"})
_MAX_CACHED = 500_000

_POLL, _PROBE = "poll", "probe"
_cached: dict[tuple[UUID, UUID, UUID], tuple[bool, bool, datetime]] = {}


@dataclass(frozen=True)
class Allowance:
    """Which items about one entity are accepted: these metrics and events only, or only those up to a time."""

    until: datetime | None = None
    names: frozenset[str] | None = None

    def allow(self, name: str, ts: datetime) -> bool:
        return (self.names is None or name in self.names) and (
            self.until is None or ts <= self.until
        )


Allowances = Mapping[UUID, tuple[Allowance, ...]]


def allowances_of(
    agent_id: UUID, entities: Mapping[UUID, ResolvedEntity], *, at: datetime, is_fresh: bool
) -> Allowances:
    """The entities, by the id that agents send, with restrictions for this agent, and what is allowed of each.

    Without ``is_fresh`` from the cache, which may be stale and has no former assignments; no query while all
    devices are cached. Before rejecting anything, call again with ``is_fresh``: seven queries at most.
    """
    devices = {device_id for entity in entities.values() for device_id in entity.device_ids}
    assigned = _assigned_devices(agent_id, devices, at, is_fresh=is_fresh)
    limited = {
        wire_id: allowances
        for wire_id, entity in entities.items()
        if (allowances := _current_allowances(entity, assigned)) is not None
    }
    if not limited or not is_fresh:
        return limited
    own_sites = assigned_site_ids(agent_id)
    ends = former_assignment_ends(agent_id, devices)
    return {
        wire_id: (*allowances, *_former_allowances(entities[wire_id], ends))
        for wire_id, allowances in limited.items()
        if entities[wire_id].ref[0] != "site" or entities[wire_id].ref[1] not in own_sites
    }


def clear_cache() -> None:
    """Empty this process's cache."""
    _cached.clear()


def _current_allowances(
    entity: ResolvedEntity, assigned: AssignedDevices
) -> tuple[Allowance, ...] | None:
    """None: no restriction."""
    devices = set(entity.device_ids)
    if entity.ref[0] == "probe_target":
        return None if not devices or devices & assigned.probed else ()
    if devices & assigned.polled:
        return None
    if entity.ref[0] == "device" and devices & assigned.probed:
        return (Allowance(names=REACHABILITY),)
    return ()


def _former_allowances(
    entity: ResolvedEntity, ends: Mapping[tuple[str, UUID], datetime]
) -> Iterator[Allowance]:
    kind = entity.ref[0]
    for device_id in entity.device_ids:
        poll_ended_at, probe_ended_at = ends.get((_POLL, device_id)), ends.get((_PROBE, device_id))
        if poll_ended_at is not None and kind != "probe_target":
            yield Allowance(until=poll_ended_at + TOLERANCE)
        if probe_ended_at is not None and kind in {"device", "probe_target"}:
            names = REACHABILITY if kind == "device" else None
            yield Allowance(until=probe_ended_at + TOLERANCE, names=names)


def _assigned_devices(
    agent_id: UUID, device_ids: Collection[UUID], at: datetime, *, is_fresh: bool
) -> AssignedDevices:
    tenant_id = require_tenant_id()
    polled, probed, missing = set(), set(), set()
    for device_id in device_ids:
        is_polled, is_probed, cached_at = _cached.get(
            (tenant_id, agent_id, device_id), (False, False, at)
        )
        if (
            not is_fresh
            and (is_polled or is_probed)
            and timedelta(0) <= at - cached_at < CACHE_LIFETIME
        ):
            polled |= {device_id} if is_polled else set()
            probed |= {device_id} if is_probed else set()
        else:
            missing.add(device_id)
    if missing:
        fresh = assigned_among(agent_id, missing)
        polled |= fresh.polled
        probed |= fresh.probed
        # Cached after commit, because the transaction may roll back.
        transaction.on_commit(lambda: _cache(tenant_id, agent_id, missing, fresh, at))
    return AssignedDevices(frozenset(polled), frozenset(probed))


def _cache(
    tenant_id: UUID, agent_id: UUID, device_ids: set[UUID], fresh: AssignedDevices, at: datetime
) -> None:
    if len(_cached) > _MAX_CACHED:
        _cached.clear()
    for device_id in device_ids:
        _cached[tenant_id, agent_id, device_id] = (
            device_id in fresh.polled,
            device_id in fresh.probed,
            at,
        )
