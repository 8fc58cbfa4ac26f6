"""Log of received webhooks: one terminal line and one JSON line in a file per event, before the response."""

import base64
import hashlib
import json
import os
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from apps.webhooks.receiver.verifier import Verification

_COLORS = {"green": "32", "red": "31", "yellow": "33", "dim": "2", "bold": "1"}
_SEVERITY_COLOR = {"critical": "red", "warn": "yellow", "info": "dim"}


class Journal:
    """Appends JSON lines, each fsynced; remembers event ids and the last applied event of each incident.

    An event is applied once, and only if its (epoch, sequence) is greater than that of the last one.
    """

    def __init__(self, path: Path, out: TextIO, *, color: bool) -> None:
        self._file = path.open("ab")
        self._out = out
        self._color = color
        self._lock = threading.Lock()
        self._event_ids: set[str] = set()
        self._applied: dict[str, tuple[int, int]] = {}
        for entry in _entries(path):
            self._event_ids.add(entry["headers"].get("webhook-id", ""))
            self._apply(_event_of(entry.get("body", "")))

    def write(
        self,
        *,
        at: float,
        headers: Mapping[str, str],
        body: bytes,
        verification: Verification,
        status: int,
    ) -> None:
        """Log a request and print its line."""
        event_id = headers.get("webhook-id", "")
        with self._lock:
            repeated = verification.verified and event_id in self._event_ids
            is_applied = False
            if verification.verified:
                self._event_ids.add(event_id)
                is_applied = not repeated and self._apply(verification.event)
            entry = {
                "time": datetime.fromtimestamp(at, UTC).isoformat(),
                "headers": dict(headers),
                "body_sha256": hashlib.sha256(body).hexdigest(),
                "body": _text(body),
                "verified": verification.verified,
                "reason": verification.reason,
                "repeated": repeated,
                "applied": is_applied,
                "status": status,
            }
            self._file.write(json.dumps(entry).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            note = " (repeated)" if repeated else ""
            if not repeated and not is_applied and "incident" in verification.event:
                note = " (older, dropped)"
            self._print_event(at, headers, verification, note)

    def print(self, text: str) -> None:
        """Print a line that is not about an event."""
        with self._lock:
            self._out.write(text + "\n")
            self._out.flush()

    def close(self) -> None:
        self._file.close()

    def _apply(self, event: Mapping[str, Any]) -> bool:
        """Apply the event if it is newer than the last applied one of its incident; returns whether it was applied."""
        incident = event.get("incident")
        if not isinstance(incident, dict):
            return False
        key, order = str(incident.get("id", "")), _order_of(incident)
        if order is None or order <= self._applied.get(key, (-1, -1)):
            return False
        self._applied[key] = order
        return True

    def _print_event(
        self, at: float, headers: Mapping[str, str], verification: Verification, suffix: str
    ) -> None:
        clock = datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")
        kind = _plain(headers.get("x-ispvm-event-type", "?"))
        attempt = _plain(headers.get("x-ispvm-attempt", "?"))
        if verification.verified:
            label = self._paint("verified", "green")
            note = f" attempt {attempt}{suffix}"
        else:
            label, note = self._paint("REFUSED", "red"), f" {_plain(verification.reason)}"
        description = self._describe(verification.event)
        self._out.write(f"{clock} {label} {self._paint(kind, 'bold')} {description}{note}\n")
        self._out.flush()

    def _describe(self, event: Mapping[str, Any]) -> str:
        incident = event.get("incident")
        if not isinstance(incident, dict):
            return ""
        severity = _plain(incident.get("severity", ""))
        words = [
            f"#{_plain(incident.get('sequence', '?'))}",
            self._paint(severity, _SEVERITY_COLOR.get(severity, "dim")) if severity else "",
            _plain(incident.get("title", "")),
        ]
        return " ".join(filter(None, words))

    def _paint(self, text: str, color: str) -> str:
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if self._color else text


def _plain(value: object) -> str:
    """Without control characters: the sender must not control the terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(value))[:200]


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(body).decode()


def _order_of(incident: Mapping[str, Any]) -> tuple[int, int] | None:
    """(epoch, sequence); None if they are missing. Older senders have no epoch."""
    epoch, sequence = incident.get("epoch", 0), incident.get("sequence")
    if not (isinstance(epoch, int) and isinstance(sequence, int)):
        return None
    return epoch, sequence


def _event_of(body: str) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _entries(path: Path) -> list[dict[str, Any]]:
    """Verified events of earlier runs."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            print("Skipped an incomplete line of the log.", file=sys.stderr)  # noqa: T201
            continue
        if entry.get("verified"):
            entries.append(entry)
    return entries
