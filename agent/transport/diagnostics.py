"""The lane of diagnostics: asks for a job every few seconds, does it, tells what came of it."""

import logging
import random
import threading
from typing import Any

from agent.diagnostics.connection import try_connection
from agent.errors import Refused
from agent.state import StateDir
from agent.transport.lanes import LaneLoop
from agent.transport.server import Lane

log = logging.getLogger(__name__)

ASK_SECONDS = 3.0
#: A server of before has no such endpoint; perhaps it is upgraded one day.
WITHOUT_SECONDS = 300.0
_NOT_FOUND, _CONFLICT = 404, 409


class Diagnostics(LaneLoop):
    """One job at a time: a router that hangs holds up neither polls nor heartbeats."""

    most_wait = 10.0

    def __init__(
        self,
        state: StateDir,
        lane: Lane,
        stop: threading.Event,
        rng: random.Random,
        source_address: str = "",
    ) -> None:
        super().__init__("diagnostics", stop, rng)
        self._key = state.sealing_key()
        self._lane = lane
        self._source = source_address

    def heard_pending(self, count: int) -> None:
        """What the heartbeat's answer says is waiting."""
        if count > 0:
            self.wake()

    def once(self) -> float:
        try:
            job = self._lane.next_job()
        except Refused as refusal:
            if refusal.status == _NOT_FOUND:
                return WITHOUT_SECONDS
            raise
        if job is None:
            return ASK_SECONDS
        self._tell(str(job["id"]), self._do(job))
        return 0.0

    def _do(self, job: dict[str, Any]) -> dict[str, Any]:
        try:
            return try_connection(job, self._key, self._source)
        except Exception as error:
            # Whatever a router makes us stumble over is an answer too.
            log.exception("diagnostics failed")
            said = f"The answer was not understood: {type(error).__name__}"
            return {"outcome": "api_disabled", "detail": said}

    def _tell(self, job_id: str, said: dict[str, Any]) -> None:
        try:
            self._lane.job_result(job_id, said)
        except Refused as refusal:
            if refusal.status not in {_NOT_FOUND, _CONFLICT}:  # nobody waits for it any more
                raise
