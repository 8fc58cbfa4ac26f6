"""Enrollment: fetches the pinned CA first, then does everything else over a verified connection."""

import base64
import hmac
import socket
import time
from collections.abc import Callable
from typing import Any

from agent.errors import AgentError, RequestRefused, ServerUnreachable
from agent.protocol.tokens import TokenContent
from agent.state import Enrollment, StateDir, public_bytes
from agent.transport.http import Client
from agent.transport.tls import (
    enrollment_context,
    fingerprint,
    identity_pem,
    make_csr,
    make_key,
    unverified_context,
)
from agent.version import VERSION

#: Pauses between retries while the server is not ready.
RETRY_SECONDS = (1.0, 2.0, 4.0)
_UNAVAILABLE = 503


def enroll(
    state: StateDir,
    token: TokenContent,
    source_address: str = "",
    before_saving: Callable[[], None] = lambda: None,
) -> Enrollment:
    """Fill an empty state folder. The folder is enrolled once its last file exists.

    Raises AgentError, ServerUnreachable, RequestRefused.
    """
    ca_pem = fetch_ca(token, source_address)
    key = make_key()
    sealing = base64.b64encode(public_bytes(state.sealing_key())).decode()
    body = {
        "token": token.secret,
        "csr_pem": make_csr(key),
        "agent_version": VERSION,
        "hostname": socket.gethostname(),
        "sealing_public_key": sealing,
    }
    with Client(token.url, enrollment_context(ca_pem), source_address) as client:
        try:
            response = _post_with_retries(client, body)
        except RequestRefused as refusal:
            if refusal.status in {401, 403}:
                raise AgentError(
                    "The server refused this token: it was used, is older than ten minutes, or was replaced."
                ) from refusal
            raise
    identity = identity_pem(key, str(response.get("certificate_pem", "")))
    agent_id, tenant_id = response.get("agent_id"), response.get("tenant_id")
    if not agent_id or not tenant_id:
        raise AgentError("The server's response names no agent.")
    enrollment = Enrollment(token.url, str(agent_id), str(tenant_id))
    before_saving()
    state.write(state.ca_bundle.name, ca_pem.encode())
    state.write(state.identity.name, identity)
    state.save_enrollment(enrollment)
    return enrollment


def _post_with_retries(client: Client, body: dict[str, str]) -> dict[str, Any]:
    """Retry when the response is lost or the server is not ready: the server recognizes a retry by its CSR."""
    for wait in RETRY_SECONDS:
        try:
            return client.post_json("enroll", body).json()
        except RequestRefused as refusal:
            if refusal.status != _UNAVAILABLE:
                raise
        except ServerUnreachable:
            pass
        time.sleep(wait)
    return client.post_json("enroll", body).json()


def fetch_ca(token: TokenContent, source_address: str = "") -> str:
    """The CA certificate that the token pins. No secret is sent over this unverified connection.

    Raises AgentError when the server presents another CA.
    """
    with Client(token.url, unverified_context(), source_address) as client:
        ca_pem = str(client.get("ca").json().get("ca_pem", ""))
    actual = fingerprint(ca_pem)
    if not any(hmac.compare_digest(actual, pin) for pin in (token.ca_sha256, token.next_ca_sha256)):
        raise AgentError(
            "The server's CA is not the one that the token names: "
            "this server did not issue the token, or the connection is intercepted."
        )
    return ca_pem
