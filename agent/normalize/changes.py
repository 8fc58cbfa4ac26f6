"""Events of changes between one poll and the next: of states, of versions, of configurations."""

import threading
from collections.abc import Iterable, Iterator, Mapping

from agent.protocol.registry import METRICS
from agent.samples import Event, PollResult, Sample

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
_CONFIGURATION_EVENT = "config.changed.detected"


class ChangeDetector:
    """Compares samples with the last values. The first value of a series is no change. Thread-safe."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], float] = {}
        self._versions: dict[str, str] = {}
        self._lock = threading.Lock()

    def detect(self, result: PollResult) -> tuple[Event, ...]:
        """The events that follow from this result."""
        states = {
            (s.metric, s.entity_id): s.value for s in result.samples if isinstance(s.value, str)
        }
        with self._lock:
            return (
                *self._state_changes(result.samples, states),
                *self._reboots(result.samples),
                *self._version_changes(result),
            )

    def _state_changes(
        self, samples: Iterable[Sample], states: Mapping[tuple[str, str], str]
    ) -> Iterator[Event]:
        for sample in samples:
            event_type = _EVENT_OF.get(sample.metric)
            if event_type is None or isinstance(sample.value, str):
                continue
            key = (sample.metric, sample.entity_id)
            before = self._last.get(key)
            self._last[key] = sample.value
            if before is not None and before != sample.value:
                payload: dict[str, object] = {
                    "old": _up_or_down(before),
                    "new": _up_or_down(sample.value),
                }
                state = states.get((_STATE_OF.get(sample.metric, ""), sample.entity_id))
                if state is not None:
                    payload["state"] = state
                yield _event(sample, event_type, payload)

    def _reboots(self, samples: Iterable[Sample]) -> Iterator[Event]:
        """An uptime below the last one is a reboot."""
        for sample in samples:
            if sample.metric != _UPTIME or isinstance(sample.value, str):
                continue
            key = (sample.metric, sample.entity_id)
            before = self._last.get(key)
            self._last[key] = sample.value
            if before is not None and sample.value < before:
                payload = {"old": before, "new": sample.value}
                yield _event(sample, "device.rebooted", payload)

    def _version_changes(self, result: PollResult) -> Iterator[Event]:
        for item in result.patch.get("devices", []):
            device_id, version = str(item["id"]), item.get("version")
            if not version:
                continue
            before = self._versions.get(device_id)
            self._versions[device_id] = version
            if before is not None and before != version and result.samples:
                payload = {"old": before, "new": version}
                at = result.samples[0].at
                yield Event(at, "device.version.changed", "device", device_id, payload)


class ConfigurationTracker:
    """Compares the configuration fingerprints of one device. The first reading is no change."""

    def __init__(self) -> None:
        self._fingerprints: dict[str, str] = {}
        self._read_at: float | None = None

    def detect(
        self, device_id: str, fingerprints: Mapping[str, str], at: float
    ) -> tuple[Event, ...]:
        """One event per changed category; a category that could not be read is unknown, not changed."""
        since, self._read_at = self._read_at, at
        events = []
        for category, fingerprint in sorted(fingerprints.items()):
            before = self._fingerprints.get(category)
            self._fingerprints[category] = fingerprint
            if before is None or before == fingerprint:
                continue
            payload = {"category": category, "old": before, "new": fingerprint}
            if since is not None:
                payload["seconds_since_read"] = str(round(at - since))
            events.append(Event(at, _CONFIGURATION_EVENT, "device", device_id, payload))
        return tuple(events)


def _event(sample: Sample, event_type: str, payload: Mapping[str, object]) -> Event:
    entity_type = METRICS[sample.metric].entity_type
    return Event(sample.at, event_type, entity_type, sample.entity_id, payload)


def _up_or_down(value: float) -> str:
    return "up" if value else "down"
