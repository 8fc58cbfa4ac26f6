"""Events from fingerprints of a configuration: which categories are not what they were."""

from collections.abc import Mapping

from agent.samples import Happening

EVENT = "config.changed.detected"


class KnownConfiguration:
    """What one device's configuration was when it was last read. The first look is no change."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._read_at: float | None = None

    def changes(self, device_id: str, found: Mapping[str, str], at: float) -> tuple[Happening, ...]:
        """One event per category that differs; a category that could not be read is unknown, not changed."""
        since, self._read_at = self._read_at, at
        events = []
        for category, fingerprint in sorted(found.items()):
            before = self._known.get(category)
            self._known[category] = fingerprint
            if before is None or before == fingerprint:
                continue
            payload = {"category": category, "old": before, "new": fingerprint}
            if since is not None:
                payload["seconds_since_read"] = str(round(at - since))
            events.append(Happening(at, EVENT, "device", device_id, payload))
        return tuple(events)
