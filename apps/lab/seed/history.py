"""Past and open incidents, written as the platform writes them: alerts with their transitions, the verdict with its
snapshot, the timeline, the acknowledgement, the audit log."""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from apps.accounts.models import User
from apps.alerts.choices import AlertState
from apps.alerts.models import Alert, AlertRule, AlertTransition
from apps.audit.services import PendingRecord, record_all
from apps.authorization.actors import Actor
from apps.core.messages import Message
from apps.incidents.choices import EntryKind, IncidentStatus, PublishedStatus, Resolution
from apps.incidents.models import (
    GraphVersion,
    Incident,
    IncidentAlert,
    Revision,
    StoredSnapshot,
    TimelineEntry,
)
from apps.incidents.rca.impact import subscribers
from apps.incidents.rca.verdict import digest_of
from apps.lab.seed.failures import RULES, DiagnosedFailure, Sign, diagnose_failure
from apps.lab.seed.network import Network
from apps.lab.seed.stories import Story
from apps.lab.seed.storing import parts_of, store_rows

CORRELATION = Actor.system("correlation")
STORIES_AT_ONCE = 500
NOTES = (
    "Field team called, on site in 40 minutes.",
    "Carrier confirms a fibre cut, ticket opened with them.",
    "Power is back at the site, batteries charging.",
    "Rebooted after a firmware fault, watching it.",
    "Known: the mast is being re-cabled today.",
    "Patch cord replaced, light levels are good again.",
)
SECOND = timedelta(seconds=1)
#: Shares of the incidents.
ACKNOWLEDGED, ACKNOWLEDGED_WHILE_OPEN, ASSIGNED, NOTED, CLOSED_BY_HAND = 0.8, 0.5, 0.6, 0.4, 0.03


@dataclass(frozen=True)
class _Entry:
    """A line of the timeline."""

    at: datetime
    kind: EntryKind
    message: Message | None = None
    note: str = ""
    actor: Actor | None = None
    alert_id: UUID | None = None


@dataclass
class _Rows:
    """Rows that are stored together, in the order of their foreign keys."""

    graphs: list[GraphVersion] = field(default_factory=list)
    snapshots: list[StoredSnapshot] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    transitions: list[AlertTransition] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    members: list[IncidentAlert] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    lines: list[TimelineEntry] = field(default_factory=list)
    acts: list[PendingRecord] = field(default_factory=list)

    def store(self) -> None:
        for rows in (
            *(self.graphs, self.snapshots, self.alerts, self.transitions, self.incidents),
            *(self.members, self.revisions, self.lines),
        ):
            store_rows(rows)
        record_all(sorted(self.acts, key=lambda act: act.at))


class HistoryWriter:
    """Writes the stories of one network. Call it inside the tenant."""

    def __init__(self, network: Network, users: list[User], *, at: datetime) -> None:
        self._network = network
        self._at = at
        self._users = [Actor("user", str(user.id), user.label) for user in users]
        self._rules = dict(AlertRule.objects.values_list("key", "pk"))
        self._graphs: dict[str, UUID] = {}
        self._levels = {
            row.id: float(row.subscribers) for row in network.services if row.subscribers
        }
        self._devices = {device.id: device.name for device in network.devices}

    def write(self, stories: Iterable[Story]) -> int:
        """Store them; returns how many alerts they had."""
        alerts = 0
        for part in parts_of(stories, STORIES_AT_ONCE):
            rows = _Rows()
            for story in part:
                self._add_story(story, rows)
            rows.store()
            alerts += len(rows.alerts)
        return alerts

    def _add_story(self, story: Story, rows: _Rows) -> None:
        ids = {sign: story.alert_id(sign) for sign in story.failure.signs}
        diagnosed = diagnose_failure(story.failure, began=story.began, alert_ids=ids)
        rng = Random(story.id.int)
        incident = self._incident(story, diagnosed, rng)
        suppressed = {row.alert_id: row for row in diagnosed.problem.suppressed}
        fired = story.fired(self._at)
        for sign in fired:
            alert = self._alert(story, sign, ids[sign])
            rows.alerts.append(alert)
            rows.transitions += self._moves(sign, alert)
            rows.members.append(self._member(incident, diagnosed, sign, alert, suppressed))
        incident.suppressed_count = sum(ids[sign] in suppressed for sign in fired)
        rows.incidents.append(incident)
        rows.revisions.append(self._revision(incident, diagnosed, rows))
        cause = diagnosed.problem.causes[0]
        params = {"cause": cause.name, "confidence": cause.confidence}
        opened = Message("incidents.timeline.opened", params)
        entries = [
            _Entry(incident.opened_at, EntryKind.OPENED, opened, actor=CORRELATION),
            *self._alert_entries(story, fired),
            *self._operator_entries(incident, rng),
        ]
        self._write_timeline(story, incident, entries, rows)

    def _incident(self, story: Story, diagnosed: DiagnosedFailure, rng: Random) -> Incident:
        problem, impact = diagnosed.problem, diagnosed.problem.impact
        ends = [at for sign in story.fired(self._at) if (at := story.recovered_at(sign))]
        is_open = story.ended is None
        incident = Incident(
            id=story.id,
            number=story.number,
            status=IncidentStatus.OPEN if is_open else IncidentStatus.CLOSED,
            severity=problem.severity,
            title=problem.title.english[:200],
            title_message=problem.title,
            started_at=problem.began_at,
            opened_at=diagnosed.snapshot.at,
            ended_at=None if is_open else max(ends) + timedelta(seconds=2),
            resolution="" if is_open else Resolution.RECOVERED,
            revision=1,
            root_type=problem.root[0],
            root_id=problem.root[1],
            root_name=problem.causes[0].name[:200],
            confidence=problem.confidence,
            sites_affected=len(impact.site_ids),
            devices_affected=len(impact.device_ids),
            services_affected=len(impact.service_ids),
            subscribers_affected=subscribers(impact, self._levels) if impact.service_ids else 0,
        )
        self._acknowledge(incident, story, rng)
        return incident

    def _acknowledge(self, incident: Incident, story: Story, rng: Random) -> None:
        """Most incidents are acknowledged by a user of the shift; the newest ones are not yet."""
        until = incident.ended_at or self._at
        acknowledged_at = incident.opened_at + timedelta(seconds=rng.randint(25, 900))
        share = ACKNOWLEDGED_WHILE_OPEN if story.ended is None else ACKNOWLEDGED
        if acknowledged_at < until and rng.random() < share:
            who = rng.choice(self._users)
            incident.acked_by, incident.acked_at = who.label, acknowledged_at
            if rng.random() < ASSIGNED:
                incident.assigned_to, incident.assigned_user_id = who.label, UUID(who.id)
        if incident.ended_at is not None and rng.random() < CLOSED_BY_HAND:
            incident.resolution = Resolution.OPERATOR
        # Opened, acknowledged, closed: one event each.
        incident.sequence = 1 + (incident.acked_at is not None) + (incident.ended_at is not None)
        incident.last_published = (
            PublishedStatus.OPEN if incident.ended_at is None else PublishedStatus.CLOSED
        )

    def _alert(self, story: Story, sign: Sign, alert_id: UUID) -> Alert:
        cleared_at = story.cleared_at(sign)
        return Alert(
            id=alert_id,
            rule_id=self._rules[sign.rule],
            entity_type=sign.ref[0],
            entity_id=sign.ref[1],
            state=AlertState.OK if cleared_at else AlertState.FIRING,
            severity=sign.severity,
            since=story.began + sign.delay,
            fired_at=story.failure.fires_at(sign, story.began),
            clear_since=cleared_at,
            recovered_at=story.recovered_at(sign),
            summary=sign.summary,
            summary_message=sign.message,
            observation=_observation(sign, story.began + sign.delay),
        )

    def _moves(self, sign: Sign, alert: Alert) -> list[AlertTransition]:
        moves = [(alert.fired_at, AlertState.PENDING, AlertState.FIRING)]
        if alert.recovered_at is not None:
            moves += [
                (alert.clear_since, AlertState.FIRING, AlertState.RECOVERING),
                (alert.recovered_at, AlertState.RECOVERING, AlertState.OK),
            ]
        return [
            AlertTransition(
                id=self._network.id_of(alert.id, after.value),
                alert=alert,
                at=moment,
                from_state=before,
                to_state=after,
                observation=_observation(sign, moment),
            )
            for moment, before, after in moves
            if moment is not None
        ]

    def _member(
        self,
        incident: Incident,
        diagnosed: DiagnosedFailure,
        sign: Sign,
        alert: Alert,
        suppressed: Mapping[UUID, Any],
    ) -> IncidentAlert:
        graph = diagnosed.snapshot.graph
        device_id = graph.device_of(sign.ref)
        row = IncidentAlert(
            id=self._network.id_of("member", alert.id),
            incident=incident,
            alert=alert,
            kind=RULES[sign.rule][0],
            entity_type=sign.ref[0],
            entity_id=sign.ref[1],
            entity_name=graph.label_of(sign.ref)[:200],
            device_name=self._devices.get(device_id, "") if device_id else "",
            severity=sign.severity,
            summary_message=sign.message,
            state=alert.state,
            since=alert.since,
        )
        suppression = suppressed.get(alert.id)
        if suppression is not None:
            row.is_suppressed = True
            row.suppressed_by_type, row.suppressed_by_id = suppression.by
            row.suppressed_reason, row.suppressed_since = suppression.reason, suppression.since
        return row

    def _revision(self, incident: Incident, diagnosed: DiagnosedFailure, rows: _Rows) -> Revision:
        snapshot = diagnosed.snapshot
        version = snapshot.graph.version
        if version not in self._graphs:
            self._graphs[version] = self._network.id_of("graph", version)
            rows.graphs.append(
                GraphVersion(
                    id=self._graphs[version],
                    version=version,
                    content=_pack(snapshot.graph.as_document()),
                )
            )
        stored = StoredSnapshot(
            id=self._network.id_of("snapshot", incident.id),
            graph_id=self._graphs[version],
            at=snapshot.at,
            content=_pack(snapshot.as_document()),
            verdict_digest=diagnosed.verdict.digest,
        )
        rows.snapshots.append(stored)
        document = {**diagnosed.problem.as_document(), "subscribers": incident.subscribers_affected}
        return Revision(
            id=self._network.id_of("revision", incident.id),
            incident=incident,
            number=1,
            at=snapshot.at,
            snapshot=stored,
            problem=document,
            digest=digest_of(document),
        )

    def _write_timeline(
        self, story: Story, incident: Incident, entries: list[_Entry], rows: _Rows
    ) -> None:
        for number, line in enumerate(entries):
            rows.lines.append(
                TimelineEntry(
                    id=self._network.id_of("line", story.id, number),
                    incident=incident,
                    at=line.at,
                    kind=line.kind,
                    message=line.message,
                    note=line.note,
                    actor=line.actor.as_dict() if line.actor else None,
                    detail={"alert": str(line.alert_id)} if line.alert_id else {},
                )
            )
            action = _AUDITED.get(line.kind)
            if action is not None and line.actor is not None:
                detail = {"number": incident.number}
                rows.acts.append(
                    PendingRecord(action, line.actor, ("incident", incident.id), line.at, detail)
                )

    def _alert_entries(self, story: Story, fired: list[Sign]) -> Iterator[_Entry]:
        for sign in fired:
            alert_id = story.alert_id(sign)
            fired_at = story.failure.fires_at(sign, story.began)
            yield _Entry(fired_at, EntryKind.ALERT, sign.message, alert_id=alert_id)
            if cleared_at := story.cleared_at(sign):
                cleared = Message("incidents.timeline.alert_cleared", {"alert": sign.message})
                yield _Entry(cleared_at, EntryKind.RECOVERY, cleared, alert_id=alert_id)

    def _operator_entries(self, incident: Incident, rng: Random) -> Iterator[_Entry]:
        who = next((row for row in self._users if row.label == incident.acked_by), None)
        until = incident.ended_at or self._at
        if who is not None and incident.acked_at is not None:
            message = Message("incidents.timeline.acknowledged", {"user": who.label})
            yield _Entry(incident.acked_at, EntryKind.ACKNOWLEDGED, message, actor=who)
            if incident.assigned_to:
                message = Message("incidents.timeline.assigned", {"user": incident.assigned_to})
                yield _Entry(incident.acked_at + SECOND, EntryKind.ASSIGNED, message, actor=who)
            noted_at = incident.acked_at + rng.randint(60, 1_500) * SECOND
            if noted_at < until and rng.random() < NOTED:
                yield _Entry(noted_at, EntryKind.NOTE, note=rng.choice(NOTES), actor=who)
        if incident.resolution == Resolution.OPERATOR:
            closer = who or self._users[0]
            params = {"user": closer.label, "reason": "works again, tested with the customer"}
            message = Message("incidents.timeline.closed", params)
            yield _Entry(until, EntryKind.CLOSED, message, actor=closer)
        elif incident.ended_at is not None:
            message = Message("incidents.timeline.recovered")
            yield _Entry(until, EntryKind.CLOSED, message, actor=CORRELATION)


_AUDITED = {
    EntryKind.OPENED: "incident.opened",
    EntryKind.ACKNOWLEDGED: "incident.acknowledged",
    EntryKind.ASSIGNED: "incident.assigned",
    EntryKind.NOTE: "incident.noted",
    EntryKind.CLOSED: "incident.closed",
}


def _observation(sign: Sign, at: datetime) -> dict[str, Any]:
    limit = {"cpu_high": 90.0}.get(sign.rule, 1.0)
    is_number = sign.rule in {"interface_down", "unreachable", "management_plane", "cpu_high"}
    last_sample = {} if sign.seen else {"time": f"{at:%H:%M:%S}"}
    return {
        "value": sign.seen or f"last sample at {last_sample['time']}",
        "code": "alerts.value.last_sample" if last_sample else "",
        "params": last_sample,
        "ts": at.isoformat(),
        "threshold": limit if is_number or sign.rule == "pppoe_sessions_lost" else None,
        "for_seconds": sign.for_seconds,
        "override": "",
        "metric": RULES[sign.rule][1],
    }


def _pack(document: object) -> bytes:
    return zlib.compress(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())
