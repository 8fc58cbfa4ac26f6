"""What each verdict was made of, kept so that it can be made again."""

from django.db import models

from apps.incidents.models.incident import Incident
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class GraphVersion(TenantModel):
    """A network as verdicts saw it: canonical JSON, deflated; one row per content."""

    version = models.CharField(max_length=64)
    content = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "version"], name="incidents_graph_uniq")
        ]


class StoredSnapshot(TenantModel):
    """One moment that a verdict was reached on (canonical JSON without the graph, deflated), and its digest."""

    graph = TenantForeignKey(GraphVersion, on_delete=models.DO_NOTHING, related_name="snapshots")
    at = models.DateTimeField()
    content = models.BinaryField()
    verdict_digest = models.CharField(max_length=64)

    class Meta:
        indexes = [models.Index(fields=["tenant", "at"], name="incidents_snapshot_at_idx")]


class Revision(TenantModel):
    """What one verdict said of an incident. A new one is written only when what it says has changed."""

    incident = TenantForeignKey(Incident, on_delete=models.DO_NOTHING, related_name="revisions")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    snapshot = TenantForeignKey(
        StoredSnapshot, on_delete=models.DO_NOTHING, related_name="revisions"
    )
    # One trouble of ``rca.verdict``, with subscribers counted.
    trouble = models.JSONField()
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "incident", "number"], name="incidents_revision_number_uniq"
            )
        ]
