"""What came in: one line per event for people, one JSON line for programs, on disk before the answer."""

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

from apps.webhooks.receiver.verifier import Verdict

_COLOURS = {"green": "32", "red": "31", "yellow": "33", "dim": "2", "bold": "1"}
_SEVERITY_COLOUR = {"critical": "red", "warn": "yellow", "info": "dim"}


class Journal:
    """Appends JSON lines, each fsynced; remembers event ids and what was applied of each incident.

    An event is applied once, and only if its (epoch, sequence) is greater than that of the last one.
    """

    def __init__(self, path: Path, out: TextIO, *, colour: bool) -> None:
        self._file = path.open("ab")
        self._out = out
        self._colour = colour
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._applied: dict[str, tuple[int, int]] = {}
        for entry in _entries(path):
            self._seen.add(entry["headers"].get("webhook-id", ""))
            self._apply(_event_of(entry.get("body", "")))

    def write(
        self, *, at: float, headers: Mapping[str, str], body: bytes, verdict: Verdict, status: int
    ) -> None:
        """Log a request and print its line."""
        event_id = headers.get("webhook-id", "")
        with self._lock:
            repeated = verdict.verified and event_id in self._seen
            is_applied = False
            if verdict.verified:
                self._seen.add(event_id)
                is_applied = not repeated and self._apply(verdict.event)
            entry = {
                "time": datetime.fromtimestamp(at, UTC).isoformat(),
                "headers": dict(headers),
                "body_sha256": hashlib.sha256(body).hexdigest(),
                "body": _text(body),
                "verified": verdict.verified,
                "reason": verdict.reason,
                "repeated": repeated,
                "applied": is_applied,
                "status": status,
            }
            self._file.write(json.dumps(entry).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            note = " (repeated)" if repeated else ""
            if not repeated and not is_applied and "incident" in verdict.event:
                note = " (older, dropped)"
            self._print(at, headers, verdict, note)

    def say(self, text: str) -> None:
        """A line that is not about an event."""
        with self._lock:
            self._out.write(text + "\n")
            self._out.flush()

    def close(self) -> None:
        self._file.close()

    def _apply(self, event: Mapping[str, Any]) -> bool:
        """Whether the event is newer than what was applied of its incident; it is applied then."""
        incident = event.get("incident")
        if not isinstance(incident, dict):
            return False
        key, order = str(incident.get("id", "")), _order_of(incident)
        if order is None or order <= self._applied.get(key, (-1, -1)):
            return False
        self._applied[key] = order
        return True

    def _print(self, at: float, headers: Mapping[str, str], verdict: Verdict, suffix: str) -> None:
        clock = datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")
        kind = _plain(headers.get("x-ispvm-event-type", "?"))
        attempt = _plain(headers.get("x-ispvm-attempt", "?"))
        if verdict.verified:
            mark = self._paint("verified", "green")
            note = f" attempt {attempt}{suffix}"
        else:
            mark, note = self._paint("REFUSED", "red"), f" {_plain(verdict.reason)}"
        what = self._describe(verdict.event)
        self._out.write(f"{clock} {mark} {self._paint(kind, 'bold')} {what}{note}\n")
        self._out.flush()

    def _describe(self, event: Mapping[str, Any]) -> str:
        incident = event.get("incident")
        if not isinstance(incident, dict):
            return ""
        severity = _plain(incident.get("severity", ""))
        words = [
            f"#{_plain(incident.get('sequence', '?'))}",
            self._paint(severity, _SEVERITY_COLOUR.get(severity, "dim")) if severity else "",
            _plain(incident.get("title", "")),
        ]
        return " ".join(filter(None, words))

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._colour else text


def _plain(value: object) -> str:
    """What others sent must not steer our terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(value))[:200]


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(body).decode()


def _order_of(incident: Mapping[str, Any]) -> tuple[int, int] | None:
    """(epoch, sequence); None of what has no order. Senders of before there were epochs give none."""
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
    """What was believed in earlier runs."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            print("A line of the log is torn and was passed over.", file=sys.stderr)  # noqa: T201
            continue
        if entry.get("verified"):
            found.append(entry)
    return found
