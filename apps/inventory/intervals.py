"""How often the metrics of devices are measured, by their polling profiles and probe targets."""

from functools import cached_property
from uuid import UUID

from django.db.models import Max

from agent.protocol.registry import METRICS
from apps.inventory.models import Device, ProbeTarget
from apps.inventory.profiles import poll_seconds

PROBED = "device.up"


class PollIntervals:
    """The intervals of the tenant's devices. Two queries at most, on first use."""

    def seconds_of(self, metric: str, device_id: UUID | None) -> float:
        """Seconds between two samples of a metric; without a device by the default profile."""
        if metric == PROBED and device_id in self._probes:
            return self._probes[device_id]
        overrides = self._profiles.get(device_id, {}) if device_id else {}
        return poll_seconds(overrides, METRICS[metric].tier)

    @cached_property
    def _profiles(self) -> dict[UUID, dict[str, float]]:
        return dict(Device.objects.exclude(polling_profile={}).values_list("id", "polling_profile"))

    @cached_property
    def _probes(self) -> dict[UUID | None, float]:
        """The slowest target of each device that is probed."""
        rows = ProbeTarget.objects.exclude(device=None).values_list("device_id")
        return dict(rows.annotate(Max("interval_seconds")))
