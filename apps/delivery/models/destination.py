from django.db import models
from django.db.models import Q

from apps.delivery.choices import PauseReason
from apps.tenancy.models import TenantModel


class Destination(TenantModel):
    """Where a channel sends to, with the state of sending; the channel has its address and secrets.

    Changed only by ``delivery.services``. A deleted destination is kept for its delivery log.
    """

    # ``Channel.name``.
    channel = models.CharField(max_length=20)
    name = models.CharField(max_length=100)
    deleted_at = models.DateTimeField(null=True, blank=True)

    # Empty: active.
    pause_reason = models.CharField(
        max_length=20, choices=PauseReason.choices, blank=True, default=""
    )
    paused_at = models.DateTimeField(null=True, blank=True)

    last_success_at = models.DateTimeField(null=True, blank=True)
    # The first failure after the last success.
    failing_since = models.DateTimeField(null=True, blank=True)
    # Consecutive timeouts. Each blocks a worker thread for up to 15 s: see leasing.
    slow_failures = models.PositiveIntegerField(default=0)
    backoff_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "channel", "name"],
                condition=Q(deleted_at__isnull=True),
                name="delivery_destination_name_uniq",
            ),
            models.CheckConstraint(
                condition=Q(pause_reason__in=["", *PauseReason.values]),
                name="delivery_destination_pause_ck",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_paused(self) -> bool:
        return bool(self.pause_reason)

    @property
    def is_given_up(self) -> bool:
        """Whether the platform has paused it: new events become dead letters, because the receiver is gone."""
        return self.pause_reason in (PauseReason.GONE, PauseReason.FAILING)

    @property
    def audited_as(self) -> tuple[str, object]:
        """Type and id in the audit log."""
        return (f"{self.channel}_endpoint", self.id)
