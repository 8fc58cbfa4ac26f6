from datetime import timedelta

from django.db import models

from apps.tenancy.models import TenantModel

IDEMPOTENCY_RETENTION = timedelta(hours=24)


class IdempotencyRecord(TenantModel):
    """The response of a POST with an ``Idempotency-Key``, stored for a day. Digests of the request, no secrets."""

    request_digest = models.BinaryField(max_length=32)
    body_digest = models.BinaryField(max_length=32)
    # Null only inside the transaction that does the work.
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "request_digest"], name="rest_idempotencyrecord_uniq"
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "created_at"], name="rest_idempotencyrecord_age_idx")
        ]
