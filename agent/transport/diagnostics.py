"""Diagnostic jobs: fetched every few seconds, run, their results sent to the server."""

import logging
import random
import threading
from typing import Any

from agent.diagnostics.connection import try_connection
from agent.errors import RequestRefused
from agent.state import StateDir
from agent.transport.ingest_client import IngestClient
from agent.transport.loop import IngestLoop

log = logging.getLogger(__name__)

POLL_SECONDS = 3.0
#: Older servers lack the endpoint; retry rarely, the server may be upgraded.
UNSUPPORTED_SECONDS = 300.0
_NOT_FOUND, _CONFLICT = 404, 409


class DiagnosticsLoop(IngestLoop):
    """Runs one job at a time: a router that hangs delays neither polls nor heartbeats."""

    max_wait = 10.0

    def __init__(
        self,
        state: StateDir,
        client: IngestClient,
        stop: threading.Event,
        rng: random.Random,
        source_address: str = "",
    ) -> None:
        super().__init__("diagnostics", stop, rng)
        self._key = state.sealing_key()
        self._client = client
        self._source = source_address

    def notify_pending(self, count: int) -> None:
        """The heartbeat's response says how many jobs are pending."""
        if count > 0:
            self.wake()

    def run_once(self) -> float:
        try:
            job = self._client.next_job()
        except RequestRefused as refusal:
            if refusal.status == _NOT_FOUND:
                return UNSUPPORTED_SECONDS
            raise
        if job is None:
            return POLL_SECONDS
        self._send_result(str(job["id"]), self._run_job(job))
        return 0.0

    def _run_job(self, job: dict[str, Any]) -> dict[str, Any]:
        try:
            return try_connection(job, self._key, self._source)
        except Exception as error:
            # An unexpected reply of the router is a result too.
            log.exception("diagnostic_job_failed")
            detail = f"The reply of the router cannot be parsed: {type(error).__name__}"
            return {"outcome": "api_disabled", "detail": detail}

    def _send_result(self, job_id: str, result: dict[str, Any]) -> None:
        try:
            self._client.job_result(job_id, result)
        except RequestRefused as refusal:
            if refusal.status not in {_NOT_FOUND, _CONFLICT}:  # the job has expired
                raise
