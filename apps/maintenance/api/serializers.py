"""Serializers of maintenance windows."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core import clock
from apps.maintenance.choices import WindowState
from apps.maintenance.models import MaintenanceWindow
from apps.maintenance.services import MAX_TARGETS
from apps.rest.fields import BoundedList


class WindowSerializer(serializers.ModelSerializer[MaintenanceWindow]):
    """A maintenance window: its times and targets."""

    state = serializers.SerializerMethodField()
    sites = BoundedList(
        child=serializers.UUIDField(),
        max_length=MAX_TARGETS,
        required=False,
        source="site_ids",
        help_text="Each with all of its routers.",
    )
    devices = BoundedList(
        child=serializers.UUIDField(), max_length=MAX_TARGETS, required=False, source="device_ids"
    )

    class Meta:
        model = MaintenanceWindow
        fields = [
            "id",
            "title",
            "reason",
            "starts_at",
            "ends_at",
            "ended_at",
            "state",
            "sites",
            "devices",
            "notify_critical",
            "created_by",
            "created_at",
        ]
        read_only_fields = ["ended_at", "created_by", "created_at"]

    @extend_schema_field(serializers.ChoiceField(choices=WindowState.choices))
    def get_state(self, window: MaintenanceWindow) -> str:
        return str(window.state_at(clock.now()))


class WindowFilterSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=WindowState.choices, required=False)
