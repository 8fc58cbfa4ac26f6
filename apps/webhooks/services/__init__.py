"""Services of webhooks."""

from apps.webhooks.errors import EndpointInvalid, RotationOutOfStep
from apps.webhooks.services.endpoints import change_endpoint, create_endpoint, delete_endpoint
from apps.webhooks.services.secrets import promote_secret, retire_secret, stage_secret

__all__ = [
    "EndpointInvalid",
    "RotationOutOfStep",
    "change_endpoint",
    "create_endpoint",
    "delete_endpoint",
    "promote_secret",
    "retire_secret",
    "stage_secret",
]
