"""What the agent of a batch may speak for, cached for a moment: its batches are about the same devices."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from agent.protocol.batch import FUTURE_SECONDS
from apps.agents.ownership import Duties, assigned_site_ids, duties_of, former_ends
from apps.inventory.selectors import WireEntity
from apps.tenancy.context import require_tenant_id

#: What was taken from an agent is refused within this time; what was given to it is accepted at once.
LIFE = timedelta(seconds=15)
#: How long after its end an assignment still holds: clocks differ, and the agent hears of it with a heartbeat.
TOLERANCE = timedelta(seconds=FUTURE_SECONDS)
#: What says whether a device can be reached: the prober's, where that is not its reader.
REACHABILITY = frozenset({"device.up", "device.reachable.changed"})
_MAX = 500_000

_READ, _PROBE = "read", "probe"
_known: dict[tuple[UUID, UUID, UUID], tuple[bool, bool, datetime]] = {}


@dataclass(frozen=True)
class Terms:
    """On what terms items about one entity are accepted: reachability alone (``names``), or only of the past."""

    until: datetime | None = None
    names: frozenset[str] | None = None

    def allow(self, name: str, ts: datetime) -> bool:
        return (self.names is None or name in self.names) and (
            self.until is None or ts <= self.until
        )


Limited = Mapping[UUID, tuple[Terms, ...]]


def limits_of(
    agent_id: UUID, entities: Mapping[UUID, WireEntity], *, at: datetime, is_fresh: bool
) -> Limited:
    """Of these entities (by wire id) those that the agent may not simply speak for, and what it may say of them.

    Not ``is_fresh``: by what is known here, which may lag behind and knows no former assignment; no query while all
    devices are known. Before anything is refused, ask again with ``is_fresh``: seven queries at most.
    """
    devices = {device_id for entity in entities.values() for device_id in entity.device_ids}
    duties = _duties(agent_id, devices, at, is_fresh=is_fresh)
    limited = {
        wire_id: terms
        for wire_id, entity in entities.items()
        if (terms := _terms(entity, duties)) is not None
    }
    if not limited or not is_fresh:
        return limited
    own_sites = assigned_site_ids(agent_id)
    ends = former_ends(agent_id, devices)
    return {
        wire_id: (*terms, *_terms_of_the_past(entities[wire_id], ends))
        for wire_id, terms in limited.items()
        if entities[wire_id].ref[0] != "site" or entities[wire_id].ref[1] not in own_sites
    }


def forget() -> None:
    """Empty this process's cache."""
    _known.clear()


def _terms(entity: WireEntity, duties: Duties) -> tuple[Terms, ...] | None:
    """None: it may say anything about it."""
    devices = set(entity.device_ids)
    if entity.ref[0] == "probe_target":
        return None if not devices or devices & duties.probes else ()
    if devices & duties.reads:
        return None
    if entity.ref[0] == "device" and devices & duties.probes:
        return (Terms(names=REACHABILITY),)
    return ()


def _terms_of_the_past(
    entity: WireEntity, ends: Mapping[tuple[str, UUID], datetime]
) -> Iterator[Terms]:
    kind = entity.ref[0]
    for device_id in entity.device_ids:
        read, probed = ends.get((_READ, device_id)), ends.get((_PROBE, device_id))
        if read is not None and kind != "probe_target":
            yield Terms(until=read + TOLERANCE)
        if probed is not None and kind in {"device", "probe_target"}:
            names = REACHABILITY if kind == "device" else None
            yield Terms(until=probed + TOLERANCE, names=names)


def _duties(
    agent_id: UUID, device_ids: Collection[UUID], at: datetime, *, is_fresh: bool
) -> Duties:
    tenant_id = require_tenant_id()
    reads, probes, missing = set(), set(), set()
    for device_id in device_ids:
        is_read, is_probed, seen_at = _known.get(
            (tenant_id, agent_id, device_id), (False, False, at)
        )
        if not is_fresh and (is_read or is_probed) and timedelta(0) <= at - seen_at < LIFE:
            reads |= {device_id} if is_read else set()
            probes |= {device_id} if is_probed else set()
        else:
            missing.add(device_id)
    if missing:
        fresh = duties_of(agent_id, missing)
        reads |= fresh.reads
        probes |= fresh.probes
        # Only what is committed is remembered.
        transaction.on_commit(lambda: _remember(tenant_id, agent_id, missing, fresh, at))
    return Duties(frozenset(reads), frozenset(probes))


def _remember(
    tenant_id: UUID, agent_id: UUID, asked: set[UUID], fresh: Duties, at: datetime
) -> None:
    if len(_known) > _MAX:
        _known.clear()
    for device_id in asked:
        _known[tenant_id, agent_id, device_id] = (
            device_id in fresh.reads,
            device_id in fresh.probes,
            at,
        )
