"""Pushes batches in the order of their creation; each is retried until the server acknowledges it."""

import json
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from agent.buffer.record import BatchHeader
from agent.buffer.store import Buffer, StoredBatch
from agent.errors import RequestRefused
from agent.samples import now
from agent.transport.ingest_client import BatchResult, IngestClient
from agent.transport.loop import IngestLoop

log = logging.getLogger(__name__)

#: Permanent refusals: not JSON, other content under a used id, too large, unknown encoding.
PERMANENT_STATUSES = frozenset({400, 409, 413, 415, 422})
#: A batch on which the server fails this often in a row is quarantined, so that it does not block the others.
MAX_SERVER_ERRORS = 30
_SERVER_ERROR = 500
IDLE_SECONDS = 5.0
#: A batch of an earlier boot has been buffered for longer than this at the start of this one, as far as the server is
#: concerned: more than it accepts as present data.
FORMER_BOOT_SECONDS = 30.0


class Pusher(IngestLoop):
    """Sends the oldest batch of the buffer, then the next.

    ``on_unknown_entity`` is called when the server rejects items of entities that it does not know.
    """

    def __init__(
        self,
        buffer: Buffer,
        client: IngestClient,
        stop: threading.Event,
        rng: random.Random,
        on_unknown_entity: Callable[[], None],
        *,
        boot_id: str,
    ) -> None:
        super().__init__("push", stop, rng)
        self._boot_id = boot_id
        self._started_at = now()
        self._buffer = buffer
        self._client = client
        self._on_unknown_entity = on_unknown_entity
        self._server_errors = 0
        self.pushed_count = 0
        #: Seconds between the creation and the acknowledgement of the last accepted batch.
        self.lag = 0.0

    def run_once(self) -> float:
        stored = self._buffer.peek()
        if stored is None:
            return IDLE_SECONDS
        try:
            result = self._client.batch(stored.body, self._buffered_for(stored.header))
        except RequestRefused as refusal:
            if not self._is_permanent(refusal):
                raise
            self._quarantine(stored, refusal)
        else:
            self._buffer.acknowledge(stored.header)
            self._server_errors = 0
            self.pushed_count += 1
            self.lag = max(0.0, now() - stored.header.created_at)
            self._log_rejected(stored.header, result)
        return 0

    def _buffered_for(self, header: BatchHeader) -> float:
        """How long the batch has been in the buffer, in seconds.

        The host's clock may have been set since an earlier boot: its batches are not about the present in any case.
        """
        seconds = max(0.0, now() - header.created_at)
        if header.boot_id != self._boot_id:
            seconds = max(seconds, now() - self._started_at + FORMER_BOOT_SECONDS)
        return seconds

    def _is_permanent(self, refusal: RequestRefused) -> bool:
        if refusal.status == _SERVER_ERROR:
            self._server_errors += 1
            return self._server_errors >= MAX_SERVER_ERRORS
        return refusal.status in PERMANENT_STATUSES or refusal.code == "identity_mismatch"

    def _quarantine(self, stored: StoredBatch, refusal: RequestRefused) -> None:
        self._server_errors = 0
        self._buffer.quarantine(stored, str(refusal.status))
        log.error(
            "batch_quarantined",
            extra={
                **_batch_fields(stored.header),
                "status": refusal.status,
                "error": refusal.detail,
            },
        )

    def _log_rejected(self, header: BatchHeader, result: BatchResult) -> None:
        if not result.rejected:
            return
        codes = Counter(str(item.get("code")) for item in result.rejected)
        log.warning(
            "batch_items_rejected",
            extra={
                **_batch_fields(header),
                "codes": dict(codes),
                "first": _shortened_json(result.rejected[0]),
            },
        )
        if "unknown_entity" in codes:
            self._on_unknown_entity()


def _batch_fields(header: BatchHeader) -> dict[str, Any]:
    return {"batch": header.batch_id, "sequence": header.sequence}


def _shortened_json(item: dict[str, Any]) -> str:
    return json.dumps(item)[:300]
