"""Events of routers and agents about the failures of the last days."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from apps.lab.seed.network import Network
from apps.lab.seed.stories import Story
from apps.lab.seed.storing import ROWS_AT_ONCE, parts_of
from apps.telemetry import store
from apps.telemetry.store import EventRow

BACK = timedelta(days=3)
#: Rule -> event type, and its values for failed and recovered.
_EVENTS = {
    "interface_down": ("interface.oper.changed", "down", "up"),
    "ospf_not_full": ("ospf.neighbor.state.changed", "down", "full"),
    "ebgp_not_established": ("bgp.peer.state.changed", "active", "established"),
    "unreachable": ("device.reachable.changed", "down", "up"),
    "management_plane": ("device.api.changed", "down", "up"),
}


def write_events(network: Network, stories: Iterable[Story], *, at: datetime) -> None:
    """An event for each failure and each recovery. Call it inside the tenant."""
    rows = (row for story in stories if story.began > at - BACK for row in _of(network, story))
    for part in parts_of(rows, ROWS_AT_ONCE):
        store.write_batch(events=part, received_at=at)


def _of(network: Network, story: Story) -> Iterator[EventRow]:
    for sign in story.failure.signs:
        if sign.rule not in _EVENTS:
            continue
        name, bad, good = _EVENTS[sign.rule]
        moves = [(story.began + sign.delay, bad, good, "warn")]
        if (cleared_at := story.cleared_at(sign)) is not None:
            moves.append((cleared_at, good, bad, "info"))
        for moment, new, old, severity in moves:
            yield EventRow(
                event_id=network.id_of("seen", story.alert_id(sign), new),
                ts=moment,
                event_type=name,
                severity=severity,
                entity_type=sign.ref[0],
                entity_id=sign.ref[1],
                payload={"old": old, "new": new},
            )
