"""The ingest API: its requests, over a connection that is rebuilt when the certificate or the CA bundle changes."""

import threading
from dataclasses import dataclass
from typing import Any, cast

from agent.protocol.batch import WAITED_HEADER
from agent.protocol.config import AgentConfig
from agent.state import Enrollment, StateDir
from agent.transport.http import Client
from agent.transport.tls import strict_context

_NOT_MODIFIED = 304
_NO_CONTENT = 204


@dataclass(frozen=True)
class BatchResult:
    """The server's response to a batch."""

    metrics: int
    events: int
    rejected: list[dict[str, Any]]
    is_duplicate: bool


class IngestClient:
    """Each loop has a client, and so a connection, of its own: a slow batch never delays a heartbeat."""

    def __init__(self, state: StateDir, source_address: str) -> None:
        self._state = state
        self._source = source_address
        self._http: Client | None = None
        self._inodes: tuple[int, int] = (0, 0)
        self._lock = threading.Lock()
        self._enrollment: Enrollment = state.enrollment()

    def http(self) -> Client:
        """The HTTP client for the certificate and CA bundle that are on disk now."""
        with self._lock:
            inodes = (self._state.identity.stat().st_ino, self._state.ca_bundle.stat().st_ino)
            if self._http is None or inodes != self._inodes:
                if self._http is not None:
                    self._http.close()
                context = strict_context(
                    self._state.ca_bundle.read_text(encoding="ascii"), self._state.identity
                )
                self._http = Client(self._enrollment.url, context, self._source)
                self._inodes = inodes
            return self._http

    def heartbeat(self, body: dict[str, Any]) -> dict[str, Any]:
        """The server's time and the current config version. Raises RequestRefused, ServerUnreachable."""
        return self.http().post_json("heartbeat", body).json()

    def config(self, known_version: str | None) -> AgentConfig | None:
        """The whole config; None when the known version is current. Raises RequestRefused, ServerUnreachable."""
        headers = {"If-None-Match": f'"{known_version}"'} if known_version else {}
        response = self.http().get("config", headers)
        return None if response.status == _NOT_MODIFIED else cast("AgentConfig", response.json())

    def certificate(self, csr_pem: str) -> str:
        """A new certificate, requested with the current one. Raises RequestRefused, ServerUnreachable."""
        response = self.http().post_json("certificate", {"csr_pem": csr_pem}).json()
        return str(response.get("certificate_pem", ""))

    def next_job(self) -> dict[str, Any] | None:
        """The next diagnostic job; None when none is pending. Raises RequestRefused, ServerUnreachable."""
        response = self.http().get("diagnostics/next")
        return None if response.status == _NO_CONTENT else response.json()

    def job_result(self, job_id: str, result: dict[str, Any]) -> None:
        """Send the result of a job. Raises RequestRefused, ServerUnreachable."""
        self.http().post_json(f"diagnostics/{job_id}/result", result)

    def batch(self, gzipped: bytes, waited_seconds: float = 0.0) -> BatchResult:
        """Push one batch; when this returns, the server has stored it. Raises RequestRefused, ServerUnreachable.

        The waiting time is a header, because the body must be the same on every retry.
        """
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            WAITED_HEADER: f"{waited_seconds:.1f}",
        }
        response = self.http().request("POST", "batch", gzipped, headers).json()
        accepted = response.get("accepted") or {}
        return BatchResult(
            int(accepted.get("metrics", 0)),
            int(accepted.get("events", 0)),
            list(response.get("rejected") or []),
            bool(response.get("duplicate")),
        )
