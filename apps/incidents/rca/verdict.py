"""The verdict: from a snapshot to problems, each with causes, evidence, consequences and impact. Pure.

Same snapshot, same bytes: ``Verdict.digest`` proves it, in any order of arrival and in every replay.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.core.messages import Message
from apps.incidents.rca.effects import Effects
from apps.incidents.rca.evidence import Evidence
from apps.incidents.rca.explain import FoundCause, find_causes, group_problems
from apps.incidents.rca.impact import Impact, measure
from apps.incidents.rca.impact_graph import ImpactGraph
from apps.incidents.rca.snapshot import Snapshot, Symptom
from apps.incidents.rca.suppression import Suppression, suppressions
from apps.incidents.rca.titles import title_of
from apps.topology.graph import Ref

PRIMARY, CONTRIBUTING = "primary", "contributing"
SEVERITIES = ("info", "warn", "critical")


@dataclass(frozen=True)
class Cause:
    """One root cause with its confidence, evidence and alternatives."""

    ref: Ref
    name: str
    classification: str
    confidence: float
    summary: Message
    evidence: tuple[Evidence, ...]
    alternatives: tuple[tuple[Ref, str, float], ...]

    def as_document(self) -> dict[str, Any]:
        return {
            "entity_type": self.ref[0],
            "entity_id": str(self.ref[1]),
            "name": self.name,
            "classification": self.classification,
            "confidence": self.confidence,
            "summary": self.summary.as_document(),
            "evidence": [item.as_document() for item in self.evidence],
            "alternatives": [
                {"entity_type": ref[0], "entity_id": str(ref[1]), "name": name, "share": share}
                for ref, name, share in self.alternatives
            ],
        }


@dataclass(frozen=True)
class Problem:
    """Symptoms that share causes: the content of one incident."""

    causes: tuple[Cause, ...]
    symptoms: tuple[Symptom, ...]
    suppressed: tuple[Suppression, ...]
    impact: Impact
    severity: str
    title: Message

    @property
    def root(self) -> Ref:
        return self.causes[0].ref

    @property
    def began_at(self) -> datetime:
        return min(row.since for row in self.symptoms)

    @property
    def first_fired_at(self) -> datetime | None:
        """When the first of its alerts fired; null while all are pending."""
        return min((row.fired_at for row in self.symptoms if row.fired_at), default=None)

    @property
    def confidence(self) -> float:
        return self.causes[0].confidence

    def as_document(self) -> dict[str, Any]:
        return {
            "title": self.title.as_document(),
            "severity": self.severity,
            "began_at": self.began_at.isoformat(),
            "causes": [cause.as_document() for cause in self.causes],
            "alerts": sorted(str(row.alert_id) for row in self.symptoms),
            "suppressed": [row.as_document() for row in self.suppressed],
            "impact": self.impact.as_document(),
        }


@dataclass(frozen=True)
class Verdict:
    """Every problem of one snapshot."""

    problems: tuple[Problem, ...]

    def as_document(self) -> dict[str, Any]:
        return {"problems": [problem.as_document() for problem in self.problems]}

    @property
    def digest(self) -> str:
        return digest_of(self.as_document())


def digest_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of a document's canonical JSON, in hexadecimal."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def reach_verdict(snapshot: Snapshot) -> Verdict:
    """Find the causes of every symptom, group them into problems, suppress consequences, measure impact."""
    network = ImpactGraph(snapshot)
    found = find_causes(network, snapshot.symptoms)
    problems = [_problem(network, group) for group in group_problems(network, found)]
    return Verdict(tuple(sorted(problems, key=lambda row: (row.began_at, row.root))))


def _problem(network: ImpactGraph, group: list[FoundCause]) -> Problem:
    ranked = _ranked(network, group)
    refs = tuple(found.ref for found, _ in ranked)
    symptoms = tuple(
        sorted(
            {row.alert_id: row for found in group for row in found.assessment.explained}.values(),
            key=lambda row: row.alert_id,
        )
    )
    causes = tuple(_cause(network, found, classification) for found, classification in ranked)
    impact = measure(network, frozenset(refs))
    return Problem(
        causes=causes,
        symptoms=symptoms,
        suppressed=suppressions(network, refs, symptoms),
        impact=impact,
        severity=max((row.severity for row in symptoms), key=SEVERITIES.index),
        title=title_of(network, tuple(cause.ref for cause in causes), symptoms, impact),
    )


def _ranked(network: ImpactGraph, group: list[FoundCause]) -> list[tuple[FoundCause, str]]:
    """Primary: without it some entity would still have service or be reachable."""
    all_refs = frozenset(found.ref for found in group)
    explained = [row for found in group for row in found.assessment.explained]
    ranked = []
    for found in group:
        rest = all_refs - {found.ref}
        is_primary = (
            len(group) == 1
            or network.without_service(rest) != network.without_service(all_refs) - {found.ref}
            or network.cut_off(rest) != network.cut_off(all_refs) - {found.ref}
            or not all(Effects(network, rest).explains(row) for row in explained)
        )
        ranked.append((found, PRIMARY if is_primary else CONTRIBUTING))
    return sorted(ranked, key=lambda row: (row[1] != PRIMARY, -row[0].confidence, row[0].ref))


def _cause(network: ImpactGraph, found: FoundCause, classification: str) -> Cause:
    evidence = tuple(sorted(found.assessment.evidence, key=_evidence_sort_key))
    supporting = sum(item.alert_id is not None for item in evidence)
    entity = network.snapshot.entity_of(found.ref)
    return Cause(
        ref=entity,
        name=network.graph.label_of(entity),
        classification=classification,
        confidence=found.confidence,
        summary=Message("incidents.evidence.summary", {"n": max(supporting, 1)}),
        evidence=evidence,
        alternatives=tuple(
            (alternative, network.graph.label_of(alternative), share)
            for ref, share in found.alternatives
            if (alternative := network.snapshot.entity_of(ref)) != entity
        ),
    )


def _evidence_sort_key(item: Evidence) -> tuple[bool, datetime, str, UUID, str]:
    return (not item.supports, item.at, item.ref[0], item.ref[1], item.code)
