"""Services of deliveries."""

from apps.delivery.errors import DestinationDeleted, DestinationNameTaken, DestinationPaused
from apps.delivery.services.delivering import deliver_due
from apps.delivery.services.destinations import (
    audit_destination,
    create_destination,
    delete_destination,
    lock_destination,
    pause_destination,
    rename_destination,
    resume_destination,
    test_destination,
)
from apps.delivery.services.queueing import add_delivery, fan_out
from apps.delivery.services.resending import resend_deliveries, resend_delivery

__all__ = [
    "DestinationDeleted",
    "DestinationNameTaken",
    "DestinationPaused",
    "add_delivery",
    "audit_destination",
    "create_destination",
    "delete_destination",
    "deliver_due",
    "fan_out",
    "lock_destination",
    "pause_destination",
    "rename_destination",
    "resend_deliveries",
    "resend_delivery",
    "resume_destination",
    "test_destination",
]
