"""Turning a token into an agent: the pinned CA first, then everything else over a verified connection."""

import base64
import hmac
import socket
import time
from collections.abc import Callable
from typing import Any

from agent.errors import AgentError, Refused, ServerUnreachable
from agent.protocol.tokens import EnrolmentToken
from agent.state import Membership, StateDir, public_bytes
from agent.transport.http import Client
from agent.transport.tls import (
    enrolling_context,
    fingerprint,
    identity_pem,
    make_key,
    make_request,
    unverified_context,
)
from agent.version import VERSION

#: Pauses before asking again while the server is not ready.
RETRY_SECONDS = (1.0, 2.0, 4.0)
_NOT_NOW = 503


def enroll(
    state: StateDir,
    token: EnrolmentToken,
    source_address: str = "",
    before_saving: Callable[[], None] = lambda: None,
) -> Membership:
    """Fill an empty state folder. The folder counts as enrolled only when its last file is there.

    Raises AgentError, ServerUnreachable, Refused.
    """
    ca_pem = fetch_authority(token, source_address)
    key = make_key()
    sealing = base64.b64encode(public_bytes(state.sealing_key())).decode()
    said = {
        "token": token.secret,
        "csr_pem": make_request(key),
        "agent_version": VERSION,
        "hostname": socket.gethostname(),
        "sealing_public_key": sealing,
    }
    with Client(token.url, enrolling_context(ca_pem), source_address) as client:
        try:
            answer = _ask_patiently(client, said)
        except Refused as refusal:
            if refusal.status in {401, 403}:
                raise AgentError(
                    "The server does not take this token: it was used, is older than ten minutes, or was replaced."
                ) from refusal
            raise
    identity = identity_pem(key, str(answer.get("certificate_pem", "")))
    agent_id, tenant_id = answer.get("agent_id"), answer.get("tenant_id")
    if not agent_id or not tenant_id:
        raise AgentError("The server's answer does not say which agent this is.")
    membership = Membership(token.url, str(agent_id), str(tenant_id))
    before_saving()
    state.write(state.trust.name, ca_pem.encode())
    state.write(state.identity.name, identity)
    state.save_membership(membership)
    return membership


def _ask_patiently(client: Client, said: dict[str, str]) -> dict[str, Any]:
    """The same question again when the answer got lost or the server is not ready: the server knows it by its CSR."""
    for wait in RETRY_SECONDS:
        try:
            return client.post_json("enroll", said).json()
        except Refused as refusal:
            if refusal.status != _NOT_NOW:
                raise
        except ServerUnreachable:
            pass
        time.sleep(wait)
    return client.post_json("enroll", said).json()


def fetch_authority(token: EnrolmentToken, source_address: str = "") -> str:
    """The CA certificate that the token pins. No secret travels on this unverified connection.

    Raises AgentError when the server shows another CA.
    """
    with Client(token.url, unverified_context(), source_address) as client:
        ca_pem = str(client.get("ca").json().get("ca_pem", ""))
    found = fingerprint(ca_pem)
    if not any(hmac.compare_digest(found, pin) for pin in (token.ca_sha256, token.next_ca_sha256)):
        raise AgentError(
            "The server's CA is not the one that the token names: "
            "this is not the server that made the token, or somebody is in between."
        )
    return ca_pem
