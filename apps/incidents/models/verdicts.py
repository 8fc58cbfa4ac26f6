"""Stored inputs and results of verdicts, for replay."""

from typing import Any

from django.db import models

from apps.core.messages import Message
from apps.incidents.models.incident import Incident
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class GraphVersion(TenantModel):
    """A network graph: canonical JSON, deflated; one row per content."""

    version = models.CharField(max_length=64)
    content = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "version"], name="incidents_graph_uniq")
        ]


class StoredSnapshot(TenantModel):
    """The input of a verdict (canonical JSON without the graph, deflated) and the verdict's digest."""

    graph = TenantForeignKey(GraphVersion, on_delete=models.DO_NOTHING, related_name="snapshots")
    at = models.DateTimeField()
    content = models.BinaryField()
    verdict_digest = models.CharField(max_length=64)

    class Meta:
        indexes = [models.Index(fields=["tenant", "at"], name="incidents_snapshot_at_idx")]


class Revision(TenantModel):
    """The verdict on an incident. A new revision is written only when its significant content changed."""

    incident = TenantForeignKey(Incident, on_delete=models.DO_NOTHING, related_name="revisions")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    snapshot = TenantForeignKey(
        StoredSnapshot, on_delete=models.DO_NOTHING, related_name="revisions"
    )
    # A ``rca.verdict.Problem`` document with the subscriber count.
    problem = models.JSONField()
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "incident", "number"], name="incidents_revision_number_uniq"
            )
        ]

    @property
    def problem_in_english(self) -> dict[str, Any]:
        """The document with an English text beside each message."""
        return {
            **self.problem,
            "title": _text(self.problem["title"]),
            "title_message": self.problem["title"],
            "causes": [
                {
                    **cause,
                    "summary": _text(cause["summary"]),
                    "summary_message": cause["summary"],
                    "evidence": evidence_in_english(cause["evidence"]),
                }
                for cause in self.problem["causes"]
            ],
            "suppressed": [
                {**row, "reason": _text(row["reason"]), "reason_message": row["reason"]}
                for row in self.problem["suppressed"]
            ],
        }


def evidence_in_english(evidence: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Evidence documents with their English text."""
    return [{**item, "text": _text(item["message"])} for item in evidence]


def _text(document: dict[str, Any]) -> str:
    return Message.from_document(document).english
