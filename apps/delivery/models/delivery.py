from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.delivery.choices import DeadReason, DeliveryState, EventType, Outcome
from apps.delivery.models.destination import Destination
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class Delivery(TenantModel):
    """One event for one destination: the exact bytes, rendered once, and the state of their delivery.

    ``event_id`` is the receiver's idempotency key: attempts and resends repeat it and the bytes.
    """

    destination = TenantForeignKey(Destination, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.UUIDField()
    event_type = models.CharField(max_length=40, choices=EventType.choices)
    # Null for a ping.
    incident_id = models.UUIDField(null=True, blank=True)
    epoch = models.BigIntegerField(null=True, blank=True)
    sequence = models.PositiveIntegerField(null=True, blank=True)
    body = models.BinaryField()
    body_sha256 = models.CharField(max_length=64)
    # Length of the chain of our own webhooks that led to this event (loop guard: MAX_HOPS).
    hop = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()

    state = models.CharField(
        max_length=20, choices=DeliveryState.choices, default=DeliveryState.PENDING
    )
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    # All attempts started; a resend does not reset it.
    attempt_count = models.PositiveIntegerField(default=0)
    # Failed attempts since the last (re)send: the index in the retry schedule.
    failure_count = models.PositiveIntegerField(default=0)
    # The id of the lease, which may hold several deliveries; only its holder may record their results.
    lease_token = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    dead_at = models.DateTimeField(null=True, blank=True)
    dead_reason = models.CharField(
        max_length=30, choices=DeadReason.choices, blank=True, default=""
    )

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "destination", "event_id"], name="delivery_delivery_event_uniq"
            ),
            models.CheckConstraint(
                condition=Q(event_type__in=EventType.values), name="delivery_delivery_type_ck"
            ),
            models.CheckConstraint(
                condition=Q(dead_reason__in=["", *DeadReason.values]),
                name="delivery_delivery_reason_ck",
            ),
            # Each state with exactly its own timestamps: a row that matches none of these
            # would never be processed.
            models.CheckConstraint(
                condition=Q(
                    state=DeliveryState.PENDING,
                    next_attempt_at__isnull=False,
                    lease_token__isnull=True,
                    leased_until__isnull=True,
                )
                | Q(
                    state=DeliveryState.LEASED,
                    lease_token__isnull=False,
                    leased_until__isnull=False,
                )
                | Q(
                    state=DeliveryState.DELIVERED,
                    delivered_at__isnull=False,
                    lease_token__isnull=True,
                    leased_until__isnull=True,
                )
                | Q(
                    state=DeliveryState.DEAD,
                    dead_at__isnull=False,
                    lease_token__isnull=True,
                    leased_until__isnull=True,
                ),
                name="delivery_delivery_state_ck",
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "destination", "next_attempt_at"],
                condition=Q(state=DeliveryState.PENDING),
                name="delivery_delivery_due_idx",
            ),
            models.Index(
                fields=["tenant", "destination", "leased_until"],
                condition=Q(state=DeliveryState.LEASED),
                name="delivery_delivery_leased_idx",
            ),
            models.Index(fields=["tenant", "-created_at"], name="delivery_delivery_recent_idx"),
            models.Index(fields=["tenant", "incident_id"], name="delivery_delivery_incident_idx"),
        ]

    @property
    def audited_as(self) -> tuple[str, object]:
        """Type and id in the audit log."""
        return (f"{self.destination.channel}_delivery", self.id)


class Attempt(TenantModel):
    """One attempt to send a delivery. Webhooks send its id as ``X-ISPVM-Delivery-ID``.

    Written before the request is sent, so that an interrupted attempt is on record.
    """

    delivery = TenantForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=20, choices=Outcome.choices, default=Outcome.SENDING)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    # The address and port of the connection; empty without a connection.
    address = models.CharField(max_length=60, blank=True, default="")
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    error_code = models.CharField(max_length=60, blank=True, default="")
    error_detail = models.CharField(max_length=300, blank=True, default="")
    # A retry cannot succeed without a configuration change.
    is_permanent = models.BooleanField(default=False)
    retry_after_seconds = models.PositiveIntegerField(null=True, blank=True)
    certificate_sha256 = models.CharField(max_length=64, blank=True, default="")
    body_sha256 = models.CharField(max_length=64)
    # At most 1 KiB; empty for receivers in private networks.
    response_head = models.CharField(max_length=1024, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "delivery", "number"], name="delivery_attempt_number_uniq"
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=Outcome.values), name="delivery_attempt_outcome_ck"
            ),
        ]
