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
    """Appends JSON lines, each fsynced; remembers event ids to point out repeats."""

    def __init__(self, path: Path, out: TextIO, *, colour: bool) -> None:
        self._file = path.open("ab")
        self._out = out
        self._colour = colour
        self._lock = threading.Lock()
        self._seen = set(_event_ids(path))

    def write(
        self, *, at: float, headers: Mapping[str, str], body: bytes, verdict: Verdict, status: int
    ) -> None:
        """Log a request and print its line."""
        event_id = headers.get("webhook-id", "")
        with self._lock:
            repeated = verdict.verified and event_id in self._seen
            if verdict.verified:
                self._seen.add(event_id)
            entry = {
                "time": datetime.fromtimestamp(at, UTC).isoformat(),
                "headers": dict(headers),
                "body_sha256": hashlib.sha256(body).hexdigest(),
                "body": _text(body),
                "verified": verdict.verified,
                "reason": verdict.reason,
                "repeated": repeated,
                "status": status,
            }
            self._file.write(json.dumps(entry).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._print(at, headers, verdict, repeated=repeated)

    def say(self, text: str) -> None:
        """A line that is not about an event."""
        with self._lock:
            self._out.write(text + "\n")
            self._out.flush()

    def close(self) -> None:
        self._file.close()

    def _print(
        self, at: float, headers: Mapping[str, str], verdict: Verdict, *, repeated: bool
    ) -> None:
        clock = datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")
        kind = _plain(headers.get("x-ispvm-event-type", "?"))
        attempt = _plain(headers.get("x-ispvm-attempt", "?"))
        if verdict.verified:
            mark = self._paint("verified", "green")
            note = f" attempt {attempt}" + (" (repeated)" if repeated else "")
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


def _event_ids(path: Path) -> list[str]:
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
            found.append(entry["headers"].get("webhook-id", ""))
    return found
