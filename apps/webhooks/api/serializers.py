"""Serializers of webhook resources."""

from typing import Any

from rest_framework import serializers

from apps.delivery.choices import INCIDENT_EVENTS, EventType, PauseReason
from apps.delivery.models import Attempt, Delivery
from apps.rest.fields import BoundedList
from apps.webhooks.models import Endpoint


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    event_types = BoundedList(
        child=serializers.ChoiceField(choices=[event.value for event in INCIDENT_EVENTS]),
        max_length=len(INCIDENT_EVENTS),
        required=False,
        help_text="Empty: every incident event.",
    )
    name = serializers.CharField(max_length=100)
    is_paused = serializers.BooleanField(source="destination.is_paused", read_only=True)
    pause_reason = serializers.ChoiceField(
        source="destination.pause_reason",
        choices=PauseReason.choices,
        allow_blank=True,
        read_only=True,
    )
    paused_at = serializers.DateTimeField(
        source="destination.paused_at", read_only=True, allow_null=True
    )
    last_success_at = serializers.DateTimeField(
        source="destination.last_success_at", read_only=True, allow_null=True
    )
    failing_since = serializers.DateTimeField(
        source="destination.failing_since", read_only=True, allow_null=True
    )
    secret_stages = serializers.SerializerMethodField()

    class Meta:
        model = Endpoint
        fields = [
            "id",
            "name",
            "url",
            "event_types",
            "severity_floor",
            "hides_tenant_name",
            "hides_people",
            "hides_evidence",
            "is_thin",
            "ca_pem",
            "is_paused",
            "pause_reason",
            "paused_at",
            "last_success_at",
            "failing_since",
            "secret_stages",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["created_at", "updated_at"]
        extra_kwargs = {"ca_pem": {"max_length": 65_536}}

    def get_secret_stages(self, endpoint: Endpoint) -> list[str]:
        """The stages for which a secret exists; secrets themselves are shown only once."""
        return sorted(secret.stage for secret in endpoint.secrets.all())


class EndpointWithSecretSerializer(EndpointSerializer):
    """An endpoint with its secret: only in the response that creates the secret."""

    secret = serializers.CharField(
        read_only=True, required=False, help_text="Shown once, when it is created or staged."
    )

    class Meta(EndpointSerializer.Meta):
        fields = [*EndpointSerializer.Meta.fields, "secret"]


class RotationSerializer(serializers.Serializer[Any]):
    """One step of a rotation: stage (returns the new secret), promote, retire."""

    step = serializers.ChoiceField(choices=["stage", "promote", "retire"])
    grace_hours = serializers.IntegerField(min_value=0, max_value=168, default=24)


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    class Meta:
        model = Attempt
        fields = [
            "id",
            "number",
            "started_at",
            "finished_at",
            "outcome",
            "duration_ms",
            "address",
            "status",
            "error_code",
            "error_detail",
            "is_permanent",
            "retry_after_seconds",
            "certificate_sha256",
            "body_sha256",
            "response_head",
        ]


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    endpoint = serializers.UUIDField(source="destination_id")
    endpoint_name = serializers.CharField(source="destination.name", read_only=True)

    class Meta:
        model = Delivery
        fields = [
            "id",
            "endpoint",
            "endpoint_name",
            "event_id",
            "event_type",
            "incident_id",
            "epoch",
            "sequence",
            "state",
            "created_at",
            "next_attempt_at",
            "attempt_count",
            "failure_count",
            "delivered_at",
            "dead_at",
            "dead_reason",
            "body_sha256",
            "hop",
        ]


class DeliveryDetailSerializer(DeliverySerializer):
    attempts = serializers.SerializerMethodField()
    body = serializers.SerializerMethodField()

    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "body", "attempts"]

    def get_attempts(self, delivery: Delivery) -> list[dict[str, Any]]:
        rows = delivery.attempts.order_by("number")
        return [dict(row) for row in AttemptSerializer(rows, many=True).data]

    def get_body(self, delivery: Delivery) -> str:
        """The request body as sent."""
        return bytes(delivery.body).decode()


class DeadLetterFilterSerializer(serializers.Serializer[Any]):
    """Which dead letters to resend; omitted fields do not filter."""

    endpoint = serializers.UUIDField(required=False)
    incident = serializers.UUIDField(required=False)
    event_type = serializers.ChoiceField(choices=EventType.choices, required=False)
    created_from = serializers.DateTimeField(required=False)
    created_to = serializers.DateTimeField(required=False)


class ResentSerializer(serializers.Serializer[Any]):
    resent = serializers.IntegerField()
    skipped = serializers.IntegerField()
