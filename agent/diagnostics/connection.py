"""Whether a login works on a router: a session of its own, one login each, and what the router says it is."""

import errno
import ssl
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.errors import CertificateChanged, Gone, LoginRefused
from agent.collectors.logins import Opened, open_logins
from agent.collectors.routeros import menus
from agent.collectors.routeros.session import Login, RouterSession

_NO_WAY = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
_DETAIL = 300


def try_connection(
    job: dict[str, Any], key: X25519PrivateKey, source_address: str = ""
) -> dict[str, Any]:
    """Try the job's logins, best first, until one works. Never raises for what a router does."""
    device = job["device"]
    logins = open_logins({**device, "credential": None}, key)  # type: ignore[typeddict-item]  # as much as they need
    said: dict[str, Any] = {"outcome": "no_credentials", "detail": ""}
    stop_at = time.monotonic() + float(job["timeout_s"])
    for login in logins:
        said = _try(device, login, source_address, max(0.5, stop_at - time.monotonic()))
        if said["outcome"] != "wrong_credentials":
            break
    return said


def _try(
    device: dict[str, Any], opened: Opened, source_address: str, seconds: float
) -> dict[str, Any]:
    session = RouterSession(
        Login(
            address=device["address"],
            port=device["port"],
            use_tls=device["tls"],
            username=opened.username,
            password=opened.password,
            source_address=source_address,
            certificate=device.get("tls_certificate") or "",
        )
    )
    began = time.monotonic()
    try:
        session.begin(seconds / 2)
        latency_ms = (time.monotonic() - began) * 1000
        found = menus.read_device(session, with_facts=True)
    except LoginRefused as refused:
        return {"outcome": "wrong_credentials", "detail": str(refused)[:_DETAIL]}
    except CertificateChanged as changed:
        return {"outcome": "tls_failed", "detail": str(changed)[:_DETAIL]}
    except Gone as gone:
        return {"outcome": outcome_of(gone), "detail": str(gone)[:_DETAIL]}
    finally:
        session.close()
    return {
        "outcome": "ok",
        "credential_set": opened.credential_set or None,
        "identity": (found.identity or "")[:200],
        "version": (found.version or "")[:100],
        "board_name": (found.board_name or "")[:100],
        "latency_ms": round(latency_ms, 1),
        "detail": "",
    }


def outcome_of(gone: Gone) -> str:
    """What kind of failure it was, by what lies under it."""
    cause = gone.__cause__
    if isinstance(cause, TimeoutError) or (cause is None and "in time" in str(gone)):
        return "timeout"
    if isinstance(cause, ConnectionRefusedError):
        return "refused"
    if isinstance(cause, ssl.SSLError):
        return "tls_failed"
    if isinstance(cause, OSError) and cause.errno in _NO_WAY:
        return "unreachable"
    # Connected, and then cut off or talked to in another tongue: "available from" of the API service, or another one.
    if cause is None or isinstance(cause, ConnectionError):
        return "api_disabled"
    return "unreachable"
