"""Connection test: whether a login works on a router, in a session of its own, and the router's identity."""

import errno
import ssl
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.base import Endpoint, OpenSession, load_collector
from agent.collectors.errors import (
    CertificateChanged,
    CollectorMissing,
    ConnectionFailed,
    LoginRefused,
)
from agent.collectors.logins import DecryptedLogin, decrypt_logins
from agent.collectors.registry import DEFAULT

_UNREACHABLE_ERRNOS = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}
)
_MAX_DETAIL_CHARS = 300


def try_connection(
    job: dict[str, Any], key: X25519PrivateKey, source_address: str = ""
) -> dict[str, Any]:
    """Try the job's logins, best first, until one works. Never raises for a failure of the router."""
    device = job["device"]
    try:
        open_session = load_collector(device.get("collector", DEFAULT))
    except CollectorMissing as missing:
        return {"outcome": "unsupported", "detail": str(missing)[:_MAX_DETAIL_CHARS]}
    logins = decrypt_logins({**device, "credential": None}, key)  # type: ignore[typeddict-item]  # all fields that it reads
    result: dict[str, Any] = {"outcome": "no_credentials", "detail": ""}
    endpoint = Endpoint(
        address=device["address"],
        port=device["port"],
        use_tls=device["tls"],
        source_address=source_address,
        certificate=device.get("tls_certificate") or "",
    )
    stop_at = time.monotonic() + float(job["timeout_s"])
    for login in logins:
        result = _try_login(open_session, endpoint, login, max(0.5, stop_at - time.monotonic()))
        if result["outcome"] != "wrong_credentials":
            break
    return result


def _try_login(
    open_session: OpenSession, endpoint: Endpoint, login: DecryptedLogin, seconds: float
) -> dict[str, Any]:
    session = open_session(endpoint, login, None)
    started_at = time.monotonic()
    try:
        session.connect(seconds / 2)
        latency_ms = (time.monotonic() - started_at) * 1000
        device = session.identify()
    except LoginRefused as refused:
        return {"outcome": "wrong_credentials", "detail": str(refused)[:_MAX_DETAIL_CHARS]}
    except CertificateChanged as changed:
        return {"outcome": "tls_failed", "detail": str(changed)[:_MAX_DETAIL_CHARS]}
    except ConnectionFailed as failure:
        return {"outcome": outcome_of(failure), "detail": str(failure)[:_MAX_DETAIL_CHARS]}
    finally:
        session.close()
    return {
        "outcome": "ok",
        "credential_set": login.credential_set or None,
        "identity": (device.identity or "")[:200],
        "version": (device.version or "")[:100],
        "board_name": (device.board_name or "")[:100],
        "latency_ms": round(latency_ms, 1),
        "detail": "",
    }


def outcome_of(failure: ConnectionFailed) -> str:
    """The outcome, by the cause of the failure."""
    cause = failure.__cause__
    if isinstance(cause, TimeoutError) or (cause is None and "in time" in str(failure)):
        return "timeout"
    if isinstance(cause, ConnectionRefusedError):
        return "refused"
    if isinstance(cause, ssl.SSLError):
        return "tls_failed"
    if isinstance(cause, OSError) and cause.errno in _UNREACHABLE_ERRNOS:
        return "unreachable"
    # Connected, then closed or another protocol: the service's `address` list excludes the agent, or another service.
    if cause is None or isinstance(cause, ConnectionError):
        return "api_disabled"
    return "unreachable"
