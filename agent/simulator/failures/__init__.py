"""Kinds of failures. A new kind needs a class and a line here."""

from collections.abc import Mapping
from datetime import datetime

from agent.simulator.blueprint import Blueprint
from agent.simulator.failures.base import (
    CONFIG_CHANGE,
    Failure,
    MalformedFailure,
    UnknownFailure,
    UnknownTarget,
)
from agent.simulator.failures.devices import ApiDown, DeviceDown, PowerLoss, Reboot
from agent.simulator.failures.links import Flap, Latency, LinkCut, Loss
from agent.simulator.failures.sessions import BgpDown, PppoeDown, UpstreamDown

__all__ = [
    "KINDS",
    "ApiDown",
    "BgpDown",
    "DeviceDown",
    "Failure",
    "Flap",
    "Latency",
    "LinkCut",
    "Loss",
    "MalformedFailure",
    "PowerLoss",
    "PppoeDown",
    "Reboot",
    "UnknownFailure",
    "UnknownTarget",
    "UpstreamDown",
    "create_failure",
    "failure_from",
]

KINDS: Mapping[str, type[Failure]] = {
    kind.kind: kind
    for kind in (
        LinkCut,
        Flap,
        Latency,
        Loss,
        PowerLoss,
        DeviceDown,
        Reboot,
        ApiDown,
        UpstreamDown,
        BgpDown,
        PppoeDown,
    )
}


def create_failure(
    failure_id: str, at: datetime, spec: Mapping[str, object], isp: Blueprint
) -> Failure:
    """Create a failure from its specification. Raises UnknownFailure, MalformedFailure, UnknownTarget."""
    kind = spec.get("kind")
    if not isinstance(kind, str):
        raise MalformedFailure("A failure needs a `kind`.")
    if kind not in KINDS:
        known = ", ".join((*KINDS, CONFIG_CHANGE))
        raise UnknownFailure(f"Unknown kind of failure; known are: {known}.")
    return KINDS[kind].create(failure_id, at, spec, isp)


def failure_from(document: Mapping[str, object], isp: Blueprint) -> Failure:
    """The inverse of `describe`."""
    spec = {key: value for key, value in document.items() if key not in {"id", "at"}}
    return create_failure(
        str(document["id"]), datetime.fromisoformat(str(document["at"])), spec, isp
    )
