"""Incidents as programs see them."""

from typing import Any

from rest_framework import serializers

from apps.incidents.models import Incident, IncidentAlert, Revision, TimelineEntry


class ImpactSerializer(serializers.Serializer[Any]):
    """Who is hit; subscribers are null when nobody ever counted them."""

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
            "started_at",
            "opened_at",
            "ended_at",
            "resolution",
            "merged_into",
            "reopened_count",
            "is_flapping",
            "in_maintenance",
            "maintenance_title",
            "is_held",
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
        shown: dict[str, Any] = super().to_representation(instance)
        shown["title"] = instance.shown_title
        if not instance.is_root_named:  # outside a limited member's grant
            shown["root_cause"] |= {"entity_type": "", "entity_id": None, "name": ""}
            shown["merged_into"] = None
            shown["maintenance_title"] = ""
        return shown


class SignSerializer(serializers.Serializer[Any]):
    """One line of evidence."""

    speaks_for = serializers.BooleanField()
    code = serializers.CharField()
    entity_type = serializers.CharField()
    entity_id = serializers.UUIDField()
    metric = serializers.CharField()
    at = serializers.DateTimeField()
    text = serializers.CharField()
    alert_id = serializers.UUIDField(allow_null=True)


class RivalSerializer(serializers.Serializer[Any]):
    """What else would explain the same, and its share of the odds."""

    entity_type = serializers.CharField()
    entity_id = serializers.UUIDField()
    name = serializers.CharField()
    share = serializers.FloatField()


class CauseSerializer(serializers.Serializer[Any]):
    """One root cause with its proof."""

    entity_type = serializers.CharField()
    entity_id = serializers.UUIDField()
    name = serializers.CharField()
    classification = serializers.ChoiceField(choices=["primary", "contributing"])
    confidence = serializers.FloatField()
    evidence = SignSerializer(many=True)
    rivals = RivalSerializer(many=True)


class IncidentDetailSerializer(IncidentSerializer):
    """One incident with its causes."""

    root_causes = CauseSerializer(many=True, read_only=True)

    class Meta(IncidentSerializer.Meta):
        fields = [*IncidentSerializer.Meta.fields, "root_causes"]
        read_only_fields = fields


class IncidentAlertSerializer(serializers.ModelSerializer[IncidentAlert]):
    """An alert under an incident; suppressed ones say by what, why and since when."""

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
            "state",
            "since",
            "is_suppressed",
            "suppressed_by_type",
            "suppressed_by_id",
            "suppressed_reason",
            "suppressed_since",
        ]
        read_only_fields = fields

    def to_representation(self, instance: IncidentAlert) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        if not getattr(instance, "is_cause_seen", True):  # outside a limited member's grant
            shown |= {"suppressed_by_type": "", "suppressed_by_id": None, "suppressed_reason": ""}
        return shown


class TimelineSerializer(serializers.ModelSerializer[TimelineEntry]):
    class Meta:
        model = TimelineEntry
        fields = ["id", "at", "kind", "text", "actor", "detail"]
        read_only_fields = fields


class RevisionSerializer(serializers.ModelSerializer[Revision]):
    class Meta:
        model = Revision
        fields = ["number", "at", "digest", "trouble"]
        read_only_fields = fields


class ImpactDetailSerializer(ImpactSerializer):
    """Who is hit, by id."""

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
    """The verdict's digest then and now: the same, or something is wrong."""

    revision = serializers.IntegerField()
    then = serializers.CharField()
    now = serializers.CharField()
    is_same = serializers.BooleanField()
