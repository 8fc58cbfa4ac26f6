"""Serializers of incidents."""

from typing import Any

from rest_framework import serializers

from apps.incidents.models import Incident, IncidentAlert, Revision, TimelineEntry
from apps.rest.fields import MessageSerializer


class ImpactSerializer(serializers.Serializer[Any]):
    """Affected entities; subscribers are null when they were never counted."""

    sites_affected = serializers.IntegerField()
    devices_affected = serializers.IntegerField()
    services_affected = serializers.IntegerField()
    estimated_subscribers_affected = serializers.IntegerField(
        source="subscribers_affected", allow_null=True
    )


class RootSerializer(serializers.Serializer[Any]):
    """The first cause."""

    entity_type = serializers.CharField(source="root_type")
    entity_id = serializers.UUIDField(source="root_id", allow_null=True)
    name = serializers.CharField(source="root_name")
    confidence = serializers.FloatField()


class IncidentSerializer(serializers.ModelSerializer[Incident]):
    """One row of the queue."""

    title_message = MessageSerializer(read_only=True, allow_null=True)
    root_cause = RootSerializer(source="*", read_only=True)
    impact = ImpactSerializer(source="*", read_only=True)

    class Meta:
        model = Incident
        fields = [
            "id",
            "number",
            "status",
            "severity",
            "title",
            "title_message",
            "started_at",
            "opened_at",
            "ended_at",
            "resolution",
            "merged_into",
            "reopened_count",
            "is_flapping",
            "in_maintenance",
            "maintenance_title",
            "notifications_suppressed",
            "epoch",
            "sequence",
            "revision",
            "root_cause",
            "impact",
            "suppressed_count",
            "acked_by",
            "acked_at",
            "assigned_to",
        ]
        read_only_fields = fields

    def to_representation(self, instance: Incident) -> dict[str, Any]:
        document: dict[str, Any] = super().to_representation(instance)
        document["title"] = instance.english_title
        if not instance.is_root_visible:  # outside a limited member's grant
            document["title_message"] = None
            document["root_cause"] |= {"entity_type": "", "entity_id": None, "name": ""}
            document["merged_into"] = None
            document["maintenance_title"] = ""
        return document


class EvidenceSerializer(serializers.Serializer[Any]):
    """One item of evidence."""

    supports = serializers.BooleanField()
    code = serializers.CharField()
    entity_type = serializers.CharField()
    entity_id = serializers.UUIDField()
    metric = serializers.CharField()
    at = serializers.DateTimeField()
    text = serializers.CharField(help_text="English.")
    message = MessageSerializer()
    alert_id = serializers.UUIDField(allow_null=True)


class AlternativeSerializer(serializers.Serializer[Any]):
    """An alternative explanation and its share of the odds."""

    entity_type = serializers.CharField()
    entity_id = serializers.UUIDField()
    name = serializers.CharField()
    share = serializers.FloatField()


class CauseSerializer(serializers.Serializer[Any]):
    """One root cause with its evidence."""

    entity_type = serializers.CharField()
    entity_id = serializers.UUIDField()
    name = serializers.CharField()
    classification = serializers.ChoiceField(choices=["primary", "contributing"])
    confidence = serializers.FloatField()
    evidence = EvidenceSerializer(many=True)
    alternatives = AlternativeSerializer(many=True)


class IncidentDetailSerializer(IncidentSerializer):
    """One incident with its causes."""

    root_causes = CauseSerializer(many=True, read_only=True)

    class Meta(IncidentSerializer.Meta):
        fields = [*IncidentSerializer.Meta.fields, "root_causes"]
        read_only_fields = fields


class IncidentAlertSerializer(serializers.ModelSerializer[IncidentAlert]):
    """An alert of an incident; suppressed ones with cause, reason and time."""

    summary = serializers.CharField(source="summary_message.english", read_only=True)
    summary_message = MessageSerializer(read_only=True)
    suppressed_reason = serializers.CharField(
        source="suppressed_reason.english", default="", read_only=True
    )
    suppressed_reason_message = MessageSerializer(
        source="suppressed_reason", allow_null=True, read_only=True
    )

    class Meta:
        model = IncidentAlert
        fields = [
            "alert_id",
            "kind",
            "entity_type",
            "entity_id",
            "entity_name",
            "device_name",
            "severity",
            "summary",
            "summary_message",
            "state",
            "since",
            "is_suppressed",
            "suppressed_by_type",
            "suppressed_by_id",
            "suppressed_reason",
            "suppressed_reason_message",
            "suppressed_since",
        ]
        read_only_fields = fields

    def to_representation(self, instance: IncidentAlert) -> dict[str, Any]:
        document: dict[str, Any] = super().to_representation(instance)
        if not getattr(instance, "cause_is_visible", True):  # outside a limited member's grant
            document |= {"suppressed_by_type": "", "suppressed_by_id": None}
            document |= {"suppressed_reason": "", "suppressed_reason_message": None}
        return document


class TimelineSerializer(serializers.ModelSerializer[TimelineEntry]):
    """A timeline entry; ``message`` is null for a note."""

    text = serializers.CharField(source="english_text", read_only=True)
    message = MessageSerializer(allow_null=True, read_only=True)

    class Meta:
        model = TimelineEntry
        fields = ["id", "at", "kind", "text", "message", "actor", "detail"]
        read_only_fields = fields


class RevisionSerializer(serializers.ModelSerializer[Revision]):
    problem = serializers.JSONField(source="problem_in_english", read_only=True)

    class Meta:
        model = Revision
        fields = ["number", "at", "digest", "problem"]
        read_only_fields = fields


class ImpactDetailSerializer(ImpactSerializer):
    """Affected entities, by id."""

    sites = serializers.ListField(child=serializers.UUIDField())
    devices = serializers.ListField(child=serializers.UUIDField())
    services = serializers.ListField(child=serializers.UUIDField())


class NoteSerializer(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=4000)


class ReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=1000)


class AssigneeSerializer(serializers.Serializer[Any]):
    user_id = serializers.UUIDField(allow_null=True)


class ReplayRequestSerializer(serializers.Serializer[Any]):
    revision = serializers.IntegerField(min_value=1, required=False)


class ReplaySerializer(serializers.Serializer[Any]):
    """The stored digest of the verdict and the one computed now."""

    revision = serializers.IntegerField()
    stored_digest = serializers.CharField()
    computed_digest = serializers.CharField()
    is_same = serializers.BooleanField()
