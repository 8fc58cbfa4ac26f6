"""The ingest API as the agent uses it: one client per lane, rebuilt when certificate or trust change."""

import threading
from dataclasses import dataclass
from typing import Any, cast

from agent.protocol.batch import WAITED
from agent.protocol.config import AgentConfig
from agent.state import Membership, StateDir
from agent.transport.http import Client
from agent.transport.tls import strict_context

_NOT_MODIFIED = 304
_NO_CONTENT = 204


@dataclass(frozen=True)
class BatchAnswer:
    """How the server took a batch."""

    metrics: int
    events: int
    rejected: list[dict[str, Any]]
    is_duplicate: bool


class Lane:
    """A connection of its own for one kind of request, so that a slow batch never holds up a heartbeat."""

    def __init__(self, state: StateDir, source_address: str) -> None:
        self._state = state
        self._source = source_address
        self._client: Client | None = None
        self._files: tuple[int, int] = (0, 0)
        self._guard = threading.Lock()
        self._membership: Membership = state.membership()

    def client(self) -> Client:
        """The client of the certificate and trust that are on disk now."""
        with self._guard:
            files = (self._state.identity.stat().st_ino, self._state.trust.stat().st_ino)
            if self._client is None or files != self._files:
                if self._client is not None:
                    self._client.close()
                context = strict_context(
                    self._state.trust.read_text(encoding="ascii"), self._state.identity
                )
                self._client = Client(self._membership.url, context, self._source)
                self._files = files
            return self._client

    def heartbeat(self, said: dict[str, Any]) -> dict[str, Any]:
        """The server's time and the config version that we should have. Raises Refused, ServerUnreachable."""
        return self.client().post_json("heartbeat", said).json()

    def config(self, known_version: str | None) -> AgentConfig | None:
        """The whole assignment; None when the known one is current. Raises Refused, ServerUnreachable."""
        headers = {"If-None-Match": f'"{known_version}"'} if known_version else {}
        answer = self.client().get("config", headers)
        return None if answer.status == _NOT_MODIFIED else cast("AgentConfig", answer.json())

    def certificate(self, csr_pem: str) -> str:
        """A new certificate over the current one. Raises Refused, ServerUnreachable."""
        answer = self.client().post_json("certificate", {"csr_pem": csr_pem}).json()
        return str(answer.get("certificate_pem", ""))

    def next_job(self) -> dict[str, Any] | None:
        """What a person asks of us; None when nobody asks. Raises Refused, ServerUnreachable."""
        answer = self.client().get("diagnostics/next")
        return None if answer.status == _NO_CONTENT else answer.json()

    def job_result(self, job_id: str, said: dict[str, Any]) -> None:
        """What came of a job. Raises Refused, ServerUnreachable."""
        self.client().post_json(f"diagnostics/{job_id}/result", said)

    def batch(self, gzipped: bytes, waited_seconds: float = 0.0) -> BatchAnswer:
        """Push one batch; when this returns, the server has it for good. Raises Refused, ServerUnreachable.

        How long it waited here is said beside it: the bytes are the same on every try.
        """
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            WAITED: f"{waited_seconds:.1f}",
        }
        said = self.client().request("POST", "batch", gzipped, headers).json()
        accepted = said.get("accepted") or {}
        return BatchAnswer(
            int(accepted.get("metrics", 0)),
            int(accepted.get("events", 0)),
            list(said.get("rejected") or []),
            bool(said.get("duplicate")),
        )
