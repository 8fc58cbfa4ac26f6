"""The Celery queues; each task names one of them."""

from enum import StrEnum


class Queue(StrEnum):
    POLL = "poll"
    INGEST = "ingest"
    EVALUATE = "evaluate"
    INCIDENTS = "incidents"
    DELIVER = "deliver"
    REPORTS = "reports"
    UPKEEP = "upkeep"
