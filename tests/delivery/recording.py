"""A channel that sends nowhere: it records what it is given, and answers as the test says."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from apps.delivery.channels import Channel, Job, Result, Verdict
from apps.delivery.choices import Outcome
from apps.delivery.models import Destination
from apps.events.subscriptions import Event

ACCEPTED = Result(Verdict.DELIVERED, Outcome.DELIVERED)
REJECTED = Result(Verdict.RETRY, Outcome.REJECTED, error_code="busy")
REFUSED = Result(Verdict.REFUSED, Outcome.REJECTED, error_code="too_long", is_permanent=True)
GONE = Result(Verdict.GONE, Outcome.REJECTED, error_code="blocked", is_permanent=True)
TIMED_OUT = Result(Verdict.RETRY, Outcome.FAILED, error_code="timeout", is_slow=True)

Answer = Callable[[Job], Result]


class RecordingChannel(Channel):
    """``answer`` gets each job; ``sent`` has those that were sent, in their order."""

    # An installed channel, whose metrics count.
    name = "webhook"

    def __init__(self, answer: Answer = lambda _: ACCEPTED, *, max_lease: int = 20) -> None:
        self.answer = answer
        self.max_lease = max_lease
        self.sent: list[Job] = []
        self.leases = 0

    def addresses(self, destinations: Sequence[Destination]) -> Mapping[UUID, str]:
        return {row.id: "nowhere" for row in destinations}

    def render(self, event: Event, destinations: Sequence[Destination]) -> Mapping[UUID, bytes]:
        """For destinations whose name begins with "on"."""
        text = f"{event.topic} {event.payload['title']}".encode()
        return {row.id: text for row in destinations if row.name.startswith("on")}

    def render_test(self, destination: Destination, *, event_id: UUID, at: datetime) -> bytes:
        return b"test"

    def open(self, destination: Destination, *, at: datetime) -> "RecordingChannel":
        self.leases += 1
        return self

    def send(self, job: Job, *, at: datetime) -> Result:
        self.sent.append(job)
        return self.answer(job)
