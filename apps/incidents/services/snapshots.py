"""Takes, stores and loads the snapshots that verdicts are based on."""

import json
import zlib
from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from apps.agents.selectors import (
    CorrelatedAgent,
    agents_for_correlation,
    probed_device_ids_by_agent,
)
from apps.alerts.choices import AlertState
from apps.alerts.selectors import CorrelatedAlert, alerts_for_correlation
from apps.incidents.models import GraphVersion, IncidentAlert, StoredSnapshot
from apps.incidents.rca.snapshot import (
    STATE_METRICS,
    AgentHeartbeat,
    ConfigChange,
    Sample,
    Snapshot,
    Symptom,
    live_agents,
)
from apps.incidents.rca.verdict import Verdict
from apps.incidents.rca.weights import CHANGED_BEFORE
from apps.telemetry import queries
from apps.topology.graph import AgentLocation, Graph
from apps.topology.selectors import graph_snapshot

CONFIG_CHANGED = "config.changed.detected"


def take_snapshot(at: datetime) -> Snapshot:
    """The state of the tenant's network at this time.

    Alerts that have recovered are included only while their incident is open.
    """
    alerts = _relevant_alerts(at)
    symptoms = [_symptom(alert) for alert in alerts]
    agents = agents_for_correlation(at)
    heartbeats = [AgentHeartbeat(row.id, row.last_heartbeat_at, row.alive) for row in agents]
    return Snapshot.make(
        at=at,
        graph=graph_snapshot(agents=_agent_locations(agents)),
        alive_agents=live_agents(heartbeats, symptoms, at),
        symptoms=symptoms,
        samples=_state_samples() if symptoms else [],
        changes=_changes(symptoms, at),
    )


def _changes(symptoms: Collection[Symptom], at: datetime) -> list[ConfigChange]:
    """Configuration changes shortly before the problem."""
    if not symptoms:
        return []
    since = min(row.since for row in symptoms) - CHANGED_BEFORE
    rows = queries.events_of_type(event_type=CONFIG_CHANGED, since=since, until=at)
    return [
        ConfigChange(row.entity_id, row.ts, str(row.payload.get("category", ""))[:60])
        for row in rows
        if row.entity_type == "device"
    ]


def store_snapshot(snapshot: Snapshot, verdict: Verdict) -> StoredSnapshot:
    """Store a snapshot with its verdict's digest; its graph is stored once per version."""
    version = snapshot.graph.version
    graph = GraphVersion.objects.filter(version=version).first()
    if graph is None:
        graph = GraphVersion.objects.create(
            version=version, content=_compress(snapshot.graph.as_document())
        )
    return StoredSnapshot.objects.create(
        graph=graph,
        at=snapshot.at,
        content=_compress(snapshot.as_document()),
        verdict_digest=verdict.digest,
    )


def load_snapshot(stored: StoredSnapshot) -> Snapshot:
    """Load a stored snapshot."""
    graph = Graph.from_document(_decompress(stored.graph.content))
    return Snapshot.from_document(_decompress(stored.content), graph)


def _relevant_alerts(at: datetime) -> list[CorrelatedAlert]:
    alerts = alerts_for_correlation(at)
    recovered = [row.id for row in alerts if row.state == AlertState.OK]
    in_open = _in_open_incidents(recovered) if recovered else frozenset()
    return [row for row in alerts if row.state != AlertState.OK or row.id in in_open]


def _in_open_incidents(alert_ids: Collection[UUID]) -> frozenset[UUID]:
    rows = IncidentAlert.objects.filter(alert_id__in=alert_ids, incident__status="open")
    return frozenset(rows.values_list("alert_id", flat=True))


def _symptom(alert: CorrelatedAlert) -> Symptom:
    return Symptom(
        alert_id=alert.id,
        rule=alert.rule,
        kind=alert.symptom,
        ref=(alert.entity_type, alert.entity_id),
        state=alert.state,
        severity=alert.severity,
        since=alert.since,
        fired_at=alert.fired_at,
        clear_since=alert.clear_since or alert.recovered_at,
        summary=alert.summary_message,
        is_flapping=alert.is_flapping,
    )


def _agent_locations(agents: Iterable[CorrelatedAgent]) -> list[AgentLocation]:
    probed = probed_device_ids_by_agent()
    return [
        AgentLocation(
            agent.id, agent.name, agent.attached_device_id, tuple(sorted(probed.get(agent.id, ())))
        )
        for agent in agents
    ]


def _state_samples() -> list[Sample]:
    rows = queries.latest(metrics=STATE_METRICS)
    return [
        Sample((key.entity_type, key.entity_id), key.metric, row.ts, row.value)
        for key, row in rows.items()
        if row.value is not None and not key.labels
    ]


def _compress(document: object) -> bytes:
    return zlib.compress(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


def _decompress(content: bytes | memoryview) -> dict[str, object]:
    document: dict[str, object] = json.loads(zlib.decompress(bytes(content)))
    return document
