"""Writes of ingest."""

from apps.ingest.services.accept import Accepted, accept_batch
from apps.ingest.services.heartbeat import accept_heartbeat

__all__ = ["Accepted", "accept_batch", "accept_heartbeat"]
