"""Services of webhooks."""

from apps.webhooks.errors import (
    EndpointDeleted,
    EndpointInvalid,
    EndpointNameTaken,
    EndpointPaused,
    RotationOutOfStep,
)
from apps.webhooks.services.delivering import deliver_due
from apps.webhooks.services.endpoints import (
    change_endpoint,
    create_endpoint,
    delete_endpoint,
    pause_endpoint,
    resume_endpoint,
    test_endpoint,
)
from apps.webhooks.services.fanning_out import fan_out
from apps.webhooks.services.resending import resend_deliveries, resend_delivery
from apps.webhooks.services.secrets import promote_secret, retire_secret, stage_secret

__all__ = [
    "EndpointDeleted",
    "EndpointInvalid",
    "EndpointNameTaken",
    "EndpointPaused",
    "RotationOutOfStep",
    "change_endpoint",
    "create_endpoint",
    "delete_endpoint",
    "deliver_due",
    "fan_out",
    "pause_endpoint",
    "promote_secret",
    "resend_deliveries",
    "resend_delivery",
    "resume_endpoint",
    "retire_secret",
    "stage_secret",
    "test_endpoint",
]
