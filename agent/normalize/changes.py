"""Events from samples: what differs from the last time that this agent saw it."""

import threading
from collections.abc import Iterable, Iterator, Mapping

from agent.protocol.registry import METRICS
from agent.samples import Findings, Happening, Sample

_EVENT_OF: Mapping[str, str] = {
    "device.up": "device.reachable.changed",
    "device.api.up": "device.api.changed",
    "interface.oper_up": "interface.oper.changed",
    "ospf.neighbor.up": "ospf.neighbor.state.changed",
    "bgp.peer.up": "bgp.peer.state.changed",
}
_STATE_OF: Mapping[str, str] = {
    "ospf.neighbor.up": "ospf.neighbor.state",
    "bgp.peer.up": "bgp.peer.state",
}
_UPTIME = "device.uptime_seconds"


class Changes:
    """Remembers the last value of what may change. The first look at something is no change. Safe for threads."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], float] = {}
        self._versions: dict[str, str] = {}
        self._guard = threading.Lock()

    def of(self, findings: Findings) -> tuple[Happening, ...]:
        """The events of these findings."""
        words = {
            (s.metric, s.entity_id): s.value for s in findings.samples if isinstance(s.value, str)
        }
        with self._guard:
            return (
                *self._flips(findings.samples, words),
                *self._reboots(findings.samples),
                *self._upgrades(findings),
            )

    def _flips(
        self, samples: Iterable[Sample], words: Mapping[tuple[str, str], str]
    ) -> Iterator[Happening]:
        for sample in samples:
            event_type = _EVENT_OF.get(sample.metric)
            if event_type is None or isinstance(sample.value, str):
                continue
            key = (sample.metric, sample.entity_id)
            before = self._last.get(key)
            self._last[key] = sample.value
            if before is not None and before != sample.value:
                payload: dict[str, object] = {"old": _word(before), "new": _word(sample.value)}
                state = words.get((_STATE_OF.get(sample.metric, ""), sample.entity_id))
                if state is not None:
                    payload["state"] = state
                yield _event(sample, event_type, payload)

    def _reboots(self, samples: Iterable[Sample]) -> Iterator[Happening]:
        """An uptime below the last one, however long it is by now."""
        for sample in samples:
            if sample.metric != _UPTIME or isinstance(sample.value, str):
                continue
            key = (sample.metric, sample.entity_id)
            before = self._last.get(key)
            self._last[key] = sample.value
            if before is not None and sample.value < before:
                payload = {"old": before, "new": sample.value}
                yield _event(sample, "device.rebooted", payload)

    def _upgrades(self, findings: Findings) -> Iterator[Happening]:
        for item in findings.patch.get("devices", []):
            device_id, version = str(item["id"]), item.get("version")
            if not version:
                continue
            before = self._versions.get(device_id)
            self._versions[device_id] = version
            if before is not None and before != version and findings.samples:
                payload = {"old": before, "new": version}
                at = findings.samples[0].at
                yield Happening(at, "device.version.changed", "device", device_id, payload)


def _event(sample: Sample, event_type: str, payload: Mapping[str, object]) -> Happening:
    entity_type = METRICS[sample.metric].entity_type
    return Happening(sample.at, event_type, entity_type, sample.entity_id, payload)


def _word(value: float) -> str:
    return "up" if value else "down"
