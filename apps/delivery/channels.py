"""The extension point: a channel renders an event for its destinations, sends it, and says what an answer means.

Everything else is the engine's (``delivery.services``): queue, lease, attempt, retry, dead letter, resend, pause, log.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Protocol
from uuid import UUID

from apps.delivery.choices import Outcome
from apps.delivery.metrics import ChannelMetrics
from apps.delivery.models import Destination
from apps.events.subscriptions import Event


class Verdict(StrEnum):
    """What an answer means for its delivery."""

    DELIVERED = "delivered"
    # Again later, until the retries are exhausted.
    RETRY = "retry"
    # This message can never succeed there: it becomes a dead letter at once.
    REFUSED = "refused"
    # The receiver no longer exists: the destination is paused, and what is queued for it becomes dead letters.
    GONE = "gone"


@dataclass(frozen=True)
class Job:
    """One attempt, so that sending it needs no database. ``body`` is the same in every attempt of its event."""

    tenant_id: UUID
    destination_id: UUID
    delivery_id: UUID
    lease_id: UUID
    attempt_id: UUID
    number: int
    event_id: UUID
    event_type: str
    incident_id: UUID | None
    hop: int
    body: bytes


@dataclass(frozen=True)
class Result:
    """The result of an attempt: what follows from it, and what the delivery log stores."""

    verdict: Verdict
    outcome: Outcome
    # The receiver blocked the worker until a timeout: it gets one request at a time, then a pause.
    is_slow: bool = False
    # Respected between one and two times the scheduled delay.
    retry_after: timedelta | None = None
    duration_ms: int = 0
    status: int | None = None
    error_code: str = ""
    error_detail: str = ""
    is_permanent: bool = False
    address: str = ""
    certificate_sha256: str = ""
    response_head: str = ""


class Sender(Protocol):
    """Sends to one destination, with its configuration and secrets as they were when the lease began."""

    def send(self, job: Job, *, at: datetime) -> Result:
        """One attempt of at most 15 s, outside of any transaction and tenant. Never raises for failures."""


class Channel(ABC):
    """A way out of the platform. Register one in ``AppConfig.ready``."""

    #: ``Destination.channel``; the prefix of its audit actions and metrics (``ispvm_<name>_attempts``).
    name: ClassVar[str]
    #: Workers that send to one destination at the same time; with 1 its events arrive in order unless one fails.
    max_senders: ClassVar[int] = 4
    #: Deliveries that one lease may hold. A sender that is killed repeats at most so many: 1 where receivers cannot
    #: recognise a repeated event.
    max_lease: ClassVar[int] = 1

    @abstractmethod
    def addresses(self, destinations: Sequence[Destination]) -> Mapping[UUID, str]:
        """Where each of them sends to, as shown to users, by the id of the destination: a URL, an address."""

    @abstractmethod
    def render(self, event: Event, destinations: Sequence[Destination]) -> Mapping[UUID, bytes]:
        """The message of an event by the id of its destination; without those that do not get it.

        Called inside the event's tenant, in the transaction that queues the messages.
        """

    @abstractmethod
    def render_test(self, destination: Destination, *, event_id: UUID, at: datetime) -> bytes:
        """The message of a test."""

    @abstractmethod
    def open(self, destination: Destination, *, at: datetime) -> Sender:
        """Read configuration and secrets for a lease that begins now, in its transaction."""


_channels: dict[str, Channel] = {}
_metrics: dict[str, ChannelMetrics] = {}


def register(channel: Channel) -> None:
    """Declare a channel and its metrics."""
    if channel.name in _channels:
        raise ValueError(f"Duplicate channel: {channel.name}.")
    _channels[channel.name] = channel
    _metrics[channel.name] = ChannelMetrics(channel.name)


def channel_named(name: str) -> Channel:
    """The channel of ``Destination.channel``. Raises KeyError if its app was removed."""
    return _channels[name]


def metrics_of(name: str) -> ChannelMetrics:
    """The metrics of a channel."""
    return _metrics[name]
