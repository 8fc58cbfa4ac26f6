"""The terminal menu: failures that can be injected, and what the platform should report."""

import json
import random
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

Echo = Callable[[str], None]
Topology = Mapping[str, Any]
TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Choice:
    """A failure to inject: the simulator's parameters, its targets, and the expected report."""

    key: str
    what: str
    kind: str
    field: str
    targets: Callable[[Topology], list[str]]
    seen: str
    more: Mapping[str, Any] | None = None

    def payload(self, target: str) -> dict[str, Any]:
        return {"kind": self.kind, self.field: target, **(self.more or {})}


def _links(kind: str) -> Callable[[Topology], list[str]]:
    return lambda topology: sorted(row["id"] for row in topology["links"] if row["kind"] == kind)


def _devices(*roles: str) -> Callable[[Topology], list[str]]:
    return lambda topology: sorted(
        row["name"] for row in topology["devices"] if row["role"] in roles
    )


def _services(topology: Topology) -> list[str]:
    return sorted(row["device"] for row in topology["services"])


def _pops(topology: Topology) -> list[str]:
    return sorted(row["key"] for row in topology["sites"] if row["key"] != "hub")


CHOICES = (
    Choice(
        *("1", "cut a link of the core ring", "link_cut", "link", _links("core")),
        "within 30 s one incident that names the link: redundancy lost, nobody cut off",
    ),
    Choice(
        *("2", "cut a PoP's only backhaul", "link_cut", "link", _links("backhaul")),
        "within 30 s one incident: the link, 3 routers cut off, their subscribers; the routers' own alerts suppressed",
    ),
    Choice(
        *("3", "take a PoP's power", "power_loss", "site", _pops),
        "a warning that the site runs on batteries; 60 s later the same incident, critical, its routers unreachable",
        {"battery_s": 60},
    ),
    Choice(
        *("4", "power off a router", "device_down", "device", _devices("access", "bng")),
        "one incident that names the router, with the link to it as second candidate",
    ),
    Choice(
        *("5", "lose an upstream's BGP session", "upstream_down", "link", _links("upstream")),
        "after a minute a transit incident that names the session; no router is reported down",
    ),
    Choice(
        *("6", "let PPPoE die on a concentrator", "pppoe_down", "device", _services),
        "a service incident with its subscribers; the router is not reported down",
    ),
    Choice(
        *("7", "lock a router's API", "api_down", "device", _devices("core", "edge")),
        "after five minutes a warning about its management plane: blind is not down",
    ),
    Choice(
        *("8", "let a link flap", "flap", "link", _links("core")),
        "within a minute one incident marked as flapping; it ends a minute after the last flap",
        {"period_s": 13},
    ),
    Choice(
        *("9", "change a router's configuration", "config_change", "device", _devices("access")),
        "within 30 s an event; if that router fails then, the change is in the evidence",
    ),
)


class Menu:
    """Handles typed lines. ``control_url`` is the simulator's."""

    def __init__(self, control_url: str, echo: Echo, rng: random.Random | None = None) -> None:
        parts = urlsplit(control_url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._echo = echo
        self._rng = rng or random.Random()  # noqa: S311  (chooses what breaks, guards nothing)

    def show(self) -> None:
        self._echo("Inject a failure: type its number, optionally followed by a name.")
        for choice in CHOICES:
            self._echo(f"  {choice.key}  {choice.what}")
        self._echo("  h  clear all failures      b  list failures      ?  this list")

    def handle_line(self, line: str) -> None:
        """Run one command; errors are printed."""
        word, _, target = line.strip().partition(" ")
        try:
            self._do(word.lower(), target.strip())
        except (OSError, HTTPException, ValueError) as error:
            self._echo(f"The simulator refused it: {error}")

    def _do(self, word: str, target: str) -> None:
        choice = next((row for row in CHOICES if row.key == word), None)
        if choice is not None:
            self._inject(choice, target)
        elif word == "h":
            self._request("DELETE", "/failures")
            self._echo("Cleared. Incidents close when all of their alerts have recovered.")
        elif word == "b":
            broken = self._request("GET", "/failures")
            self._echo("\n".join(_describe(row) for row in broken) or "No failures.")
        elif word:
            self.show()

    def _inject(self, choice: Choice, target: str) -> None:
        targets = choice.targets(self._request("GET", "/topology"))
        if target and target not in targets:
            self._echo(f"Known names: {', '.join(targets)}.")
            return
        chosen = target or self._rng.choice(targets)
        self._request("POST", "/failures", choice.payload(chosen))
        self._echo(f"{choice.what}: {chosen}. You should see {choice.seen}.")

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Raises OSError, HTTPException; ValueError when the simulator refuses."""
        connection = HTTPConnection(*self._address, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 400:  # noqa: PLR2004
            raise ValueError(text[:300])
        return json.loads(text) if text else None


def _describe(failure: Mapping[str, Any]) -> str:
    rest = (str(value) for name, value in failure.items() if name not in {"id", "kind", "at"})
    return f"  {failure['kind']} {' '.join(rest)}, since {failure['at'][11:19]} UTC"


def listen(menu: Menu, lines: Iterable[str] | None = None) -> threading.Thread | None:
    """Handle typed lines in a thread; None without a terminal."""
    if lines is None and not sys.stdin.isatty():
        return None
    source = sys.stdin if lines is None else lines

    def handle_lines() -> None:
        for line in source:
            menu.handle_line(line)

    thread = threading.Thread(target=handle_lines, name="menu", daemon=True)
    menu.show()
    thread.start()
    return thread
