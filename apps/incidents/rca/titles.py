"""Titles of incidents: the cause first, then the impact. Pure."""

from apps.core.messages import Message
from apps.incidents.rca.impact import Impact
from apps.incidents.rca.impact_graph import ImpactGraph
from apps.incidents.rca.snapshot import Symptom
from apps.topology.graph import AGENT, DEVICE, LINK, SERVICE, SITE, Ref

_TITLE_BY_TYPE = {
    AGENT: "incidents.title.agent_offline",
    SERVICE: "incidents.title.sessions_lost",
    SITE: "incidents.title.site_unreachable",
}


def title_of(
    network: ImpactGraph, causes: tuple[Ref, ...], symptoms: tuple[Symptom, ...], impact: Impact
) -> Message:
    """For example "Backhaul north is down: 3 routers cut off"."""
    names = [network.graph.label_of(ref) for ref in causes]
    state = _state(causes, symptoms, {"causes": _join_names(names), "n": len(names)})
    if state.code == "incidents.title.flapping":
        return state
    effect = _effect(causes, symptoms, impact)
    if effect is None:
        return state
    return Message("incidents.title.with_effect", {"state": state, "effect": effect})


def _join_names(names: list[str]) -> str | Message:
    first, *others = names
    if not others:
        return first
    if len(others) == 1:
        return Message("incidents.causes.two", {"first": first, "second": others[0]})
    return Message("incidents.causes.more", {"first": first, "n": len(others)})


def _state(
    causes: tuple[Ref, ...], symptoms: tuple[Symptom, ...], params: dict[str, object]
) -> Message:
    kind = causes[0][0]
    if any(row.is_flapping for row in symptoms):
        return Message("incidents.title.flapping", params)
    if kind == DEVICE:
        return _device_state([row for row in symptoms if row.ref in causes], params)
    if _has_only_lost_power(causes, symptoms):
        code = "incidents.title.power_feed_lost"
    elif kind == SITE and any(row.kind == "power_lost" for row in symptoms):
        code = "incidents.title.without_power"
    else:
        code = _TITLE_BY_TYPE.get(kind, "incidents.title.down")
    return Message(code, params)


def _device_state(symptoms: list[Symptom], params: dict[str, object]) -> Message:
    """The state of a router by its own alerts."""
    rule_of = {row.kind: row.rule for row in reversed(symptoms)}
    if "unreachable" not in rule_of:
        if "management_plane" in rule_of:
            return Message("incidents.title.management_plane", params)
        if "power_lost" in rule_of:
            return Message("incidents.title.power_supply_lost", params)
        if "soft" in rule_of:
            return Message("incidents.title.degraded", {**params, "check": rule_of["soft"]})
    return Message("incidents.title.down", params)


def _has_only_lost_power(causes: tuple[Ref, ...], symptoms: tuple[Symptom, ...]) -> bool:
    """Whether the routers of the site still run on batteries."""
    return causes[0][0] == SITE and not any(row.kind == "unreachable" for row in symptoms)


def _effect(
    causes: tuple[Ref, ...], symptoms: tuple[Symptom, ...], impact: Impact
) -> Message | None:
    kind = causes[0][0]
    if kind == AGENT:
        return Message("incidents.effect.not_monitored")
    if _has_only_lost_power(causes, symptoms):
        running = {row.ref for row in symptoms if row.kind == "power_lost"}
        return Message("incidents.effect.routers_still_running", {"n": len(running)})
    behind = len(impact.device_ids) - sum(1 for ref in causes if ref[0] == DEVICE)
    if behind > 0:
        lost = "incidents.effect.routers_lost"
        return Message("incidents.effect.routers_cut_off" if kind != SITE else lost, {"n": behind})
    return Message("incidents.effect.redundancy_lost") if kind == LINK else None
