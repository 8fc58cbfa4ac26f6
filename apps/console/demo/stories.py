"""The stories that the demo plays and checks: what breaks, what must be said of it, and how it ends."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apps.console.demo.findings import BUDGET_SECONDS, Moments, Report
from apps.console.demo.receiver_log import Received, differing_repeats, missing_sequences
from apps.console.demo.rest import Rest, RestError
from apps.console.demo.watching import Watcher

OPEN_WITHIN = 75.0
SETTLE_WITHIN = 90.0
CLOSE_WITHIN = 90.0
DELIVER_WITHIN = 60.0
#: Long enough for a second, wrong incident to show itself.
LINGER_SECONDS = 12.0


@dataclass(frozen=True)
class Scene:
    """What a story is played on."""

    control: Rest
    rest: Rest
    watcher: Watcher
    topology: dict[str, Any]
    rng: random.Random
    say: Callable[[str], None]
    #: Processes are being killed meanwhile: it still has to end right, but not within 30 s.
    is_disturbed: bool


class LinkCut:
    """One link is cut and healed; one incident names it, is told of, and closes."""

    key = ""
    name = ""
    link_kind = ""
    expected_seconds = 60

    def play(self, scene: Scene) -> Report:
        """Raises RestError when the platform stops answering for good."""
        report = Report()
        links = [row for row in scene.topology["links"] if row["kind"] == self.link_kind]
        link = scene.rng.choice(sorted(links, key=lambda row: row["id"]))
        expected = self.expect(scene, link)
        scene.say(f"  cutting {link['id']} ({link['kind']}) ...")
        broken = datetime.now(UTC)
        failure = scene.control.post("/failures", {"kind": "link_cut", "link": link["id"]})
        try:
            incident_id = self._opened(scene, link, report)
            if incident_id:
                self._while_open(scene, incident_id, expected, report)
        finally:
            scene.control.delete(f"/failures/{failure['id']}")
        if incident_id:
            scene.say("  healed ...")
            self._closed(scene, incident_id, report)
            self._told(scene, incident_id, broken, report)
        self._nothing_else(scene, expected, report)
        return report

    def expect(self, scene: Scene, link: dict[str, Any]) -> dict[str, Any]:
        """What must be seen: dark routers and the subscribers behind the link."""
        raise NotImplementedError

    def act(self, scene: Scene, incident_id: str, report: Report) -> None:
        """What the operator does meanwhile."""

    def _opened(self, scene: Scene, link: dict[str, Any], report: Report) -> str:
        def opened() -> str | None:
            for row in scene.watcher.incidents.values():
                if row["root_cause"]["name"] == link["id"]:
                    return str(row["id"])
            return None

        incident_id = scene.watcher.wait_for(opened, seconds=OPEN_WITHIN) or ""
        seen = {row["root_cause"]["name"] for row in scene.watcher.incidents.values()}
        report.equal("root cause", {link["id"]}, seen)
        return incident_id

    def _while_open(
        self, scene: Scene, incident_id: str, expected: dict[str, Any], report: Report
    ) -> None:
        self.act(scene, incident_id, report)

        def settled() -> bool | None:
            held = _held_devices(scene.watcher, incident_id)
            return held >= expected["dark"] or None

        scene.watcher.wait_for(settled, seconds=SETTLE_WITHIN)
        if not expected["dark"]:
            scene.watcher.wait_for(lambda: None, seconds=LINGER_SECONDS)
        incident = scene.watcher.incident(incident_id)
        cause, impact = incident["root_causes"][0], incident["impact"]
        report.equal("its class", "primary", cause["classification"])
        report.holds(
            *("confidence", "0.5 or more", cause["confidence"]),
            is_right=cause["confidence"] >= 0.5,  # noqa: PLR2004
        )
        report.holds(
            *("evidence", "lines for the cause", len(cause["evidence"])),
            is_right=bool(cause["evidence"]),
        )
        report.equal(
            "routers held back", expected["dark"], _held_devices(scene.watcher, incident_id)
        )
        rows = scene.watcher.of(incident_id, "suppressed")
        without = [row["entity_name"] for row in rows if not row["suppressed_reason"]]
        report.equal("held back without a reason", [], without)
        report.equal("routers cut off", len(expected["dark"]), impact["devices_affected"])
        report.equal(
            "subscribers", expected["subscribers"], impact["estimated_subscribers_affected"]
        )
        replay = scene.rest.ask(f"/incidents/{incident_id}/replay/")
        report.equal("replay of the verdict", replay["then"], replay["now"])

    def _closed(self, scene: Scene, incident_id: str, report: Report) -> None:
        def closed() -> dict[str, Any] | None:
            incident = scene.watcher.incident(incident_id)
            return incident if incident["status"] == "closed" else None

        incident = scene.watcher.wait_for(closed, seconds=CLOSE_WITHIN)
        seen = incident["resolution"] if incident else "still open"
        report.equal("after healing", "recovered", seen)

    def _told(self, scene: Scene, incident_id: str, broken: datetime, report: Report) -> None:
        def told() -> list[Received] | None:
            rows = scene.watcher.received(incident_id)
            return rows if any(row.event_type == "incident.closed" for row in rows) else None

        rows = scene.watcher.wait_for(told, seconds=DELIVER_WITHIN) or []
        kinds = {row.event_type for row in rows}
        report.holds(
            *("webhooks verified", "opened and closed", kinds),
            is_right=kinds >= {"incident.opened", "incident.closed"},
        )
        report.equal("webhooks missing in sequence", [], missing_sequences(rows))
        report.equal("repeats with other bytes", [], differing_repeats(rows))
        report.equal("webhooks refused", 0, scene.watcher.refused())
        moments = _moments(scene.watcher, incident_id, broken, rows)
        if moments is None:
            report.equal("parts of the 30 seconds", "known", "unknown")
            return
        for line in moments.lines():
            scene.say(line)
        if not scene.is_disturbed:
            report.holds(
                "failure to delivery",
                f"at most {BUDGET_SECONDS:.0f} s",
                f"{moments.total_seconds:.1f} s",
                is_right=moments.total_seconds <= BUDGET_SECONDS,
            )

    def _nothing_else(self, scene: Scene, expected: dict[str, Any], report: Report) -> None:
        report.equal("incidents", 1, len(scene.watcher.incidents))
        wrongly = scene.watcher.called_unreachable - expected["dark"]
        report.equal("routers wrongly called unreachable", set(), wrongly)


class RingCut(LinkCut):
    """The ring has another way round: redundancy is lost and nobody is cut off."""

    key, name, link_kind = "a", "a cut of the core ring", "core"
    expected_seconds = 55

    def expect(self, scene: Scene, link: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {"dark": set(), "subscribers": 0}


class BackhaulCut(LinkCut):
    """A PoP's only way out: everything behind it is a consequence, its subscribers are counted."""

    key, name, link_kind = "b", "a cut of a PoP's only backhaul", "backhaul"
    expected_seconds = 75

    def expect(self, scene: Scene, link: dict[str, Any]) -> dict[str, Any]:
        site = next(
            row["site"] for row in scene.topology["devices"] if row["name"] == link["z"]["device"]
        )
        dark = {row["name"] for row in scene.topology["devices"] if row["site"] == site}
        sessions = scene.control.get("/truth")["sessions"]
        return {"dark": dark, "subscribers": sum(sessions.get(name, 0) for name in dark)}

    def act(self, scene: Scene, incident_id: str, report: Report) -> None:
        path = f"/incidents/{incident_id}"
        text = "Fibre crew called"
        for verb, body in (("ack", None), ("notes", {"text": text})):
            _persist(lambda v=verb, b=body: scene.rest.post(f"{path}/{v}/", b))  # type: ignore[misc]  # early binding
        report.holds(
            *("acknowledged", "by the caller", scene.watcher.incident(incident_id)["acked_by"]),
            is_right=bool(scene.watcher.incident(incident_id)["acked_by"]),
        )


STORIES: dict[str, LinkCut] = {story.key: story for story in (RingCut(), BackhaulCut())}


def _persist(call: Callable[[], object]) -> None:
    """Do it although a process may be restarting; done already counts."""
    for _ in range(20):
        try:
            call()
        except RestError as error:
            if error.status == 409:  # noqa: PLR2004
                return
            if error.status not in {0, 502, 503}:
                raise
            time.sleep(0.5)
        else:
            return


def _held_devices(watcher: Watcher, incident_id: str) -> set[str]:
    """Routers whose own silence is held back."""
    rows = watcher.of(incident_id, "suppressed")
    return {
        row["entity_name"]
        for row in rows
        if row["kind"] == "unreachable" and row["state"] != "pending"
    }


def _moments(
    watcher: Watcher, incident_id: str, broken: datetime, rows: list[Received]
) -> Moments | None:
    incident = watcher.incident(incident_id)
    fired = [row["at"] for row in watcher.of(incident_id, "timeline") if row["kind"] == "alert"]
    opened = [row.at for row in rows if row.event_type == "incident.opened"]
    if not fired or not opened:
        return None
    return Moments(
        broken=broken,
        seen=datetime.fromisoformat(incident["started_at"]),
        fired=datetime.fromisoformat(min(fired)),
        opened=datetime.fromisoformat(incident["opened_at"]),
        delivered=min(opened),
    )
