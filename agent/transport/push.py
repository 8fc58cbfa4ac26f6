"""Pushing batches in the order in which they were made, each until the server has it for good."""

import json
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from agent.buffer.record import Head
from agent.buffer.store import Buffer, Stored
from agent.errors import Refused
from agent.samples import now
from agent.transport.lanes import LaneLoop
from agent.transport.server import BatchAnswer, Lane

log = logging.getLogger(__name__)

#: The server will never take these bytes: no JSON, other content under a used id, too large, unknown encoding.
NEVER_TAKEN = frozenset({400, 409, 413, 415, 422})
#: A batch on which the server fails this often in a row is set aside, or it would hold up all others.
MAX_SERVER_FAULTS = 30
_SERVER_FAULT = 500
IDLE_SECONDS = 5.0


class Pusher(LaneLoop):
    """Sends the buffer's oldest batch, again and again. ``on_unknown`` hears of entities that the server lacks."""

    def __init__(
        self,
        buffer: Buffer,
        lane: Lane,
        stop: threading.Event,
        rng: random.Random,
        on_unknown: Callable[[], None],
    ) -> None:
        super().__init__("push", stop, rng)
        self._buffer = buffer
        self._lane = lane
        self._on_unknown = on_unknown
        self._faults = 0
        self.pushed = 0
        #: Seconds between making the last accepted batch and the server having it.
        self.lag = 0.0

    def once(self) -> float:
        stored = self._buffer.peek()
        if stored is None:
            return IDLE_SECONDS
        try:
            answer = self._lane.batch(stored.body, max(0.0, now() - stored.head.made_at))
        except Refused as refusal:
            if not self._is_hopeless(refusal):
                raise
            self._set_aside(stored, refusal)
        else:
            self._buffer.done(stored.head)
            self._faults = 0
            self.pushed += 1
            self.lag = max(0.0, now() - stored.head.made_at)
            self._tell_rejected(stored.head, answer)
        return 0

    def _is_hopeless(self, refusal: Refused) -> bool:
        if refusal.status == _SERVER_FAULT:
            self._faults += 1
            return self._faults >= MAX_SERVER_FAULTS
        return refusal.status in NEVER_TAKEN or refusal.code == "identity_mismatch"

    def _set_aside(self, stored: Stored, refusal: Refused) -> None:
        self._faults = 0
        self._buffer.quarantine(stored, str(refusal.status))
        log.error(
            "the server will never take this batch; it is in the quarantine folder",
            extra={**_named(stored.head), "status": refusal.status, "said": refusal.detail},
        )

    def _tell_rejected(self, head: Head, answer: BatchAnswer) -> None:
        if not answer.rejected:
            return
        codes = Counter(str(item.get("code")) for item in answer.rejected)
        log.warning(
            "items rejected",
            extra={**_named(head), "codes": dict(codes), "first": _text(answer.rejected[0])},
        )
        if "unknown_entity" in codes:
            self._on_unknown()


def _named(head: Head) -> dict[str, Any]:
    return {"batch": head.batch_id, "sequence": head.sequence}


def _text(item: dict[str, Any]) -> str:
    return json.dumps(item)[:300]
