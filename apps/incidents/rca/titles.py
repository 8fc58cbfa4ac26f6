"""What an incident is called: the cause first, then who is behind it. Pure."""

from apps.incidents.rca.impact import Impact
from apps.incidents.rca.snapshot import Symptom
from apps.incidents.rca.world import World
from apps.topology.graph import DEVICE, SITE, Ref


def title_of(
    world: World, causes: tuple[Ref, ...], symptoms: tuple[Symptom, ...], impact: Impact
) -> str:
    """For example "Backhaul north is down: 3 routers cut off"."""
    first, *others = (world.graph.label_of(ref) for ref in causes)
    said = first + (f" and {others[0]}" if len(others) == 1 else "")
    said += f" and {len(others)} more" if len(others) > 1 else ""
    if any(row.is_flapping for row in symptoms):
        return f"{said} {_are(causes)} flapping"[:200]
    return f"{said} {_state(causes, symptoms)}{_reach(causes, impact)}"[:200]


def _are(causes: tuple[Ref, ...]) -> str:
    return "are" if len(causes) > 1 else "is"


def _state(causes: tuple[Ref, ...], symptoms: tuple[Symptom, ...]) -> str:
    are = _are(causes)
    kinds = {row.kind for row in symptoms if row.ref in causes}
    if causes[0][0] == SITE and not any(row.kind == "unreachable" for row in symptoms):
        hit = len({row.ref for row in symptoms if row.kind == "power_lost"})
        return f"{'have' if len(causes) > 1 else 'has'} lost a power feed: {hit} routers run on"
    if causes[0][0] == SITE and any(row.kind == "power_lost" for row in symptoms):
        return f"{are} without power"
    if causes[0][0] == DEVICE and "unreachable" not in kinds:
        if "management_plane" in kinds:
            return "does not answer on its management plane"
        if "power_lost" in kinds:
            return "has lost a power supply"
        if "soft" in kinds:
            return "is in trouble"
    words = {
        "agent": f"{are} silent",
        "service": f"{'have' if len(causes) > 1 else 'has'} lost all sessions",
        "site": f"{are} dark",
    }
    return words.get(causes[0][0], f"{are} down")


def _reach(causes: tuple[Ref, ...], impact: Impact) -> str:
    kind = causes[0][0]
    if kind == "agent":
        return ": its region is blind"
    behind = len(impact.device_ids) - sum(1 for ref in causes if ref[0] == DEVICE)
    if behind > 0:
        verb = "cut off" if kind != SITE else "lost"
        return f": {behind} router{'s' if behind > 1 else ''} {verb}"
    if kind == "link":
        return ": redundancy lost, nobody cut off"
    return ""
