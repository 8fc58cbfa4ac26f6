"""The verdict: from a snapshot to troubles, each with causes, proof, consequences and impact. Pure.

Same snapshot, same bytes: ``Verdict.digest`` proves it, in any order of arrival and in every replay.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.incidents.rca.effects import Effects
from apps.incidents.rca.evidence import Sign
from apps.incidents.rca.explain import Found, find_causes, troubles
from apps.incidents.rca.impact import Impact, measure
from apps.incidents.rca.snapshot import Snapshot, Symptom
from apps.incidents.rca.suppression import Suppression, suppressions
from apps.incidents.rca.titles import title_of
from apps.incidents.rca.world import World
from apps.topology.graph import Ref

PRIMARY, CONTRIBUTING = "primary", "contributing"
SEVERITIES = ("info", "warn", "critical")


@dataclass(frozen=True)
class Cause:
    """One root cause, how sure we are, and what else it could have been."""

    ref: Ref
    name: str
    classification: str
    confidence: float
    summary: str
    signs: tuple[Sign, ...]
    rivals: tuple[tuple[Ref, str, float], ...]

    def as_document(self) -> dict[str, Any]:
        return {
            "entity_type": self.ref[0],
            "entity_id": str(self.ref[1]),
            "name": self.name,
            "classification": self.classification,
            "confidence": self.confidence,
            "summary": self.summary,
            "signs": [sign.as_document() for sign in self.signs],
            "rivals": [
                {"entity_type": ref[0], "entity_id": str(ref[1]), "name": name, "share": share}
                for ref, name, share in self.rivals
            ],
        }


@dataclass(frozen=True)
class Trouble:
    """What will be one incident: symptoms that share causes."""

    causes: tuple[Cause, ...]
    symptoms: tuple[Symptom, ...]
    suppressed: tuple[Suppression, ...]
    impact: Impact
    severity: str
    title: str

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
            "title": self.title,
            "severity": self.severity,
            "began_at": self.began_at.isoformat(),
            "causes": [cause.as_document() for cause in self.causes],
            "alerts": sorted(str(row.alert_id) for row in self.symptoms),
            "suppressed": [row.as_document() for row in self.suppressed],
            "impact": self.impact.as_document(),
        }


@dataclass(frozen=True)
class Verdict:
    """Every trouble of one snapshot."""

    troubles: tuple[Trouble, ...]

    def as_document(self) -> dict[str, Any]:
        return {"troubles": [trouble.as_document() for trouble in self.troubles]}

    @property
    def digest(self) -> str:
        return digest_of(self.as_document())


def digest_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of a document's canonical JSON, in hexadecimal."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def reach_verdict(snapshot: Snapshot) -> Verdict:
    """Name the causes of every symptom, group them into troubles, hold back consequences, measure impact."""
    world = World(snapshot)
    found = find_causes(world, snapshot.symptoms)
    made = [_trouble(world, group) for group in troubles(world, found)]
    return Verdict(tuple(sorted(made, key=lambda row: (row.began_at, row.root))))


def _trouble(world: World, group: list[Found]) -> Trouble:
    ordered = _ranked(world, group)
    refs = tuple(found.ref for found, _ in ordered)
    symptoms = tuple(
        sorted(
            {row.alert_id: row for found in group for row in found.judgement.explained}.values(),
            key=lambda row: row.alert_id,
        )
    )
    causes = tuple(_cause(world, found, classification) for found, classification in ordered)
    impact = measure(world, frozenset(refs))
    return Trouble(
        causes=causes,
        symptoms=symptoms,
        suppressed=suppressions(world, refs, symptoms),
        impact=impact,
        severity=max((row.severity for row in symptoms), key=SEVERITIES.index),
        title=title_of(world, tuple(cause.ref for cause in causes), symptoms, impact),
    )


def _ranked(world: World, group: list[Found]) -> list[tuple[Found, str]]:
    """Primary: without it somebody would still have service, or somebody would still be seen."""
    everyone = frozenset(found.ref for found in group)
    dark = [row for found in group for row in found.judgement.explained]
    ranked = []
    for found in group:
        rest = everyone - {found.ref}
        matters = (
            len(group) == 1
            or world.unserved(rest) != world.unserved(everyone) - {found.ref}
            or world.hidden(rest) != world.hidden(everyone) - {found.ref}
            or not all(Effects(world, rest).explains(row) for row in dark)
        )
        ranked.append((found, PRIMARY if matters else CONTRIBUTING))
    return sorted(ranked, key=lambda row: (row[1] != PRIMARY, -row[0].confidence, row[0].ref))


def _cause(world: World, found: Found, classification: str) -> Cause:
    signs = tuple(sorted(found.judgement.signs, key=_sign_order))
    pro = sum(sign.alert_id is not None for sign in signs)
    entity = world.snapshot.entity_of(found.ref)
    return Cause(
        ref=entity,
        name=world.graph.label_of(entity),
        classification=classification,
        confidence=found.confidence,
        summary=f"Explains {pro} of the symptoms" if pro > 1 else "Explains its only symptom",
        signs=signs,
        rivals=tuple(
            (rival, world.graph.label_of(rival), share)
            for ref, share in found.rivals
            if (rival := world.snapshot.entity_of(ref)) != entity
        ),
    )


def _sign_order(sign: Sign) -> tuple[bool, datetime, str, UUID, str]:
    return (not sign.speaks_for, sign.at, sign.ref[0], sign.ref[1], sign.code)
