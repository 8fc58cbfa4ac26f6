"""Serializers of rules, overrides and alerts."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agent.protocol.registry import ENTITY_TYPES
from apps.alerts.choices import ImportMode, Severity
from apps.alerts.models import Alert, AlertRule, AlertTransition, RuleOverride
from apps.alerts.rules.program import Level
from apps.rest.fields import BoundedDict, BoundedList, MessageSerializer

MAX_SECONDS = 30 * 86_400
MAX_RULES = 500
#: Fields of a rule document; the largest shipped one has a third of that.
MAX_FIELDS = 50


class RuleSerializer(serializers.ModelSerializer[AlertRule]):
    name = serializers.CharField(source="document.name", read_only=True)
    enabled = serializers.BooleanField(source="is_enabled")
    severity = serializers.JSONField(
        source="document.severity", read_only=True, help_text="One severity, or one by role."
    )
    entity_type = serializers.ChoiceField(
        choices=list(ENTITY_TYPES), source="document.scope.by_entity_type", read_only=True
    )

    class Meta:
        model = AlertRule
        fields = [
            "id",
            "key",
            "name",
            "pack",
            "version",
            "enabled",
            "severity",
            "entity_type",
            "updated_at",
        ]
        read_only_fields = ["key", "pack", "version", "updated_at"]


class RuleDetailSerializer(RuleSerializer):
    document = serializers.DictField(read_only=True, help_text="The rule as it was imported.")

    class Meta(RuleSerializer.Meta):
        fields = [*RuleSerializer.Meta.fields, "document"]


class RuleFilterSerializer(serializers.Serializer[Any]):
    pack = serializers.CharField(max_length=60, required=False)
    enabled = serializers.BooleanField(required=False, default=None, allow_null=True)
    severity = serializers.ChoiceField(choices=Severity.choices, required=False)


class RuleChangeSerializer(serializers.Serializer[Any]):
    enabled = serializers.BooleanField()


class ImportSerializer(serializers.Serializer[Any]):
    """A rule pack: the shipped one of that name, or the given rules."""

    pack = serializers.CharField(max_length=60)
    mode = serializers.ChoiceField(choices=ImportMode.choices)
    rules = BoundedList(
        child=BoundedDict(max_length=MAX_FIELDS),
        max_length=MAX_RULES,
        required=False,
        help_text="Rule documents; without them, the shipped pack of that name.",
    )


class PackQuerySerializer(serializers.Serializer[Any]):
    pack = serializers.CharField(max_length=60)


class PackSerializer(serializers.Serializer[Any]):
    """A rule pack as import accepts it, except for the mode."""

    pack = serializers.CharField()
    rules = serializers.ListField(child=serializers.DictField())


class ImportResultSerializer(serializers.Serializer[Any]):
    rules = RuleSerializer(many=True)


class ChangesSerializer(serializers.Serializer[Any]):
    """The settings that an override changes; omitted ones keep the rule's value."""

    threshold = serializers.FloatField(required=False)
    recover = serializers.FloatField(required=False)
    for_seconds = serializers.FloatField(min_value=0, max_value=MAX_SECONDS, required=False)
    enabled = serializers.BooleanField(required=False)

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            raise serializers.ValidationError(
                {str(name)[:60]: "This cannot be overridden." for name in unknown}, code="unknown"
            )
        return super().to_internal_value(data)


class OverrideSerializer(serializers.ModelSerializer[RuleOverride]):
    scope = serializers.ChoiceField(choices=[level.value for level in Level], source="level")
    target = serializers.CharField(
        max_length=100,
        allow_blank=True,
        default="",
        help_text="A site or device id, a role or a tag; empty for the tenant.",
    )
    changes = ChangesSerializer()

    class Meta:
        model = RuleOverride
        fields = ["id", "scope", "target", "changes", "reason", "updated_at"]
        read_only_fields = ["updated_at"]


_NO_MESSAGE: dict[str, Any] = {"code": "", "params": {}}


class ObservationSerializer(serializers.Serializer[Any]):
    """The value at an alert's last transition, and the settings that it was compared with."""

    metric = serializers.CharField()
    value = serializers.CharField(allow_null=True)
    code = serializers.CharField(help_text="Message code of a value that is a text; else empty.")
    params = serializers.DictField(help_text="Parameters of the message code.")
    ts = serializers.DateTimeField(allow_null=True)
    threshold = serializers.FloatField(allow_null=True)
    for_seconds = serializers.FloatField()
    override = serializers.CharField(help_text="The override that applied; empty for none.")


class AlertEntitySerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    id = serializers.UUIDField()
    label = serializers.CharField(help_text="Empty when the entity was deleted.")  # type: ignore[assignment]  # a field here


class AlertSerializer(serializers.ModelSerializer[Alert]):
    rule_key = serializers.CharField(source="rule.key", read_only=True)
    entity = serializers.SerializerMethodField()
    summary_message = MessageSerializer(read_only=True)
    observation = serializers.SerializerMethodField()
    in_maintenance = serializers.SerializerMethodField()

    class Meta:
        model = Alert
        fields = [
            "id",
            "rule",
            "rule_key",
            "entity",
            "state",
            "severity",
            "summary",
            "summary_message",
            "is_flapping",
            "in_maintenance",
            "since",
            "fired_at",
            "clear_since",
            "recovered_at",
            "end_reason",
            "observation",
        ]

    @extend_schema_field(AlertEntitySerializer)
    def get_entity(self, alert: Alert) -> dict[str, str]:
        """The entity, with its display name."""
        labels: dict[tuple[str, Any], str] = self.context["labels"]
        label = labels.get((alert.entity_type, alert.entity_id), "")
        return {"type": alert.entity_type, "id": str(alert.entity_id), "label": label}

    def get_in_maintenance(self, alert: Alert) -> bool:
        """Whether an active maintenance window covers its entity; the alert's state is independent of it."""
        return alert.maintenance_id is not None

    @extend_schema_field(ObservationSerializer)
    def get_observation(self, alert: Alert) -> dict[str, Any]:
        return {**_NO_MESSAGE, **alert.observation}


class TransitionSerializer(serializers.ModelSerializer[AlertTransition]):
    observation = serializers.SerializerMethodField()

    class Meta:
        model = AlertTransition
        fields = ["id", "at", "from_state", "to_state", "observation"]

    @extend_schema_field(ObservationSerializer)
    def get_observation(self, transition: AlertTransition) -> dict[str, Any]:
        return {**_NO_MESSAGE, **transition.observation}
