"""Writes of ingest."""

from apps.ingest.services.accept import AcceptedBatch, accept_batch
from apps.ingest.services.heartbeat import accept_heartbeat

__all__ = ["AcceptedBatch", "accept_batch", "accept_heartbeat"]
