"""The history of changes and the firewall."""

from collections.abc import Iterator
from datetime import timedelta

from agent.simulator import seeded
from agent.simulator.menus.view import Row, View

# Age of the oldest entry of the history at the start of the simulation.
INSTALLED_BEFORE = timedelta(days=30)
RULES = (
    ("input", "accept", {"connection-state": "established,related"}),
    ("input", "accept", {"protocol": "icmp"}),
    ("input", "drop", {"connection-state": "invalid"}),
    ("forward", "fasttrack-connection", {"connection-state": "established,related"}),
)


def empty(view: View) -> Iterator[Row]:
    """A menu without rows."""
    del view
    return iter(())


def history(view: View) -> Iterator[Row]:
    """Latest first. It survives reboots; `redo` and `undo` exist in v7 only."""
    for change in reversed(view.changes()):
        yield history_row(view, change.action, change.by, view.local(change.at), change.id)
    installed = view.local(view.network.began_at - INSTALLED_BEFORE)
    yield history_row(view, "system identity changed", "admin", installed, "installed")


def history_row(view: View, action: str, by: str, time: str, label: str) -> Row:
    row_id = seeded.number(view.isp.seed, "history", view.router.name, label, bits=20)
    return {
        ".id": f"*{row_id:X}",
        "undoable": "true",
        "action": action,
        "by": by,
        "policy": "write",
        "time": time,
    }


def firewall_filter(view: View) -> Iterator[Row]:
    for number, (chain, action, match) in enumerate(RULES, start=1):
        yield {**rule(number, chain, action), **match}
    added = view.changes("/ip/firewall/filter")
    for number, change in enumerate(added, start=len(RULES) + 1):
        yield {**rule(number, "forward", "accept"), "comment": f"{change.by}: {change.id}"}


def rule(number: int, chain: str, action: str) -> Row:
    return {
        ".id": f"*{number:X}",
        "chain": chain,
        "action": action,
        "bytes": "0",
        "packets": "0",
        "invalid": "false",
        "dynamic": "false",
        "disabled": "false",
    }
