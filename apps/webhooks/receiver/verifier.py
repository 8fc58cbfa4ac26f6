"""Checks a webhook against the secrets that a receiver knows. Standard library only."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TOLERANCE_SECONDS = 300
MAX_DIGITS = 12


@dataclass(frozen=True)
class Verification:
    """Whether a webhook is genuine, and why not. ``event`` is the parsed body of a genuine one."""

    verified: bool
    reason: str
    event: Mapping[str, Any]


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    *,
    now: float,
    tolerance: float = TOLERANCE_SECONDS,
) -> Verification:
    """Check both signatures, the age, and that the headers agree with the signed body.

    ``headers`` have lower-case names.
    """
    reason = (
        _check_standard(headers, body, secrets, now, tolerance)
        or _check_legacy(headers, body, secrets)
        or ""
    )
    if reason:
        return Verification(verified=False, reason=reason, event={})
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return Verification(verified=False, reason="the body is not JSON", event={})
    reason = _check_agreement(headers, event) if isinstance(event, dict) else "not an object"
    return Verification(verified=not reason, reason=reason, event={} if reason else event)


def _check_standard(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float, tolerance: float
) -> str:
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not (message_id and timestamp and signatures):
        return "webhook-id, webhook-timestamp or webhook-signature is missing"
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= MAX_DIGITS):
        return "webhook-timestamp is not a number"
    age = now - int(timestamp)
    if abs(age) > tolerance:
        return f"webhook-timestamp is {'old' if age > 0 else 'in the future'}"
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    candidates = [value.partition(",") for value in signatures.split(" ")]
    for secret in secrets:
        digest = hmac.new(_standard_key(secret), content, hashlib.sha256).digest()
        expected = base64.b64encode(digest).decode()
        for version, _, value in candidates:
            if version == "v1" and hmac.compare_digest(value.encode(), expected.encode()):
                return ""
    return "no value of webhook-signature matches"


def _standard_key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


def _check_legacy(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> str:
    scheme, _, signature = headers.get("x-ispvm-signature", "").partition("=")
    if scheme != "sha256":
        return "X-ISPVM-Signature is missing"
    for secret in secrets:
        expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        if hmac.compare_digest(signature.encode(), expected.encode()):
            return ""
    return "X-ISPVM-Signature does not match"


def _check_agreement(headers: Mapping[str, str], event: Mapping[str, Any]) -> str:
    """Both schemes sign the body and neither signs the X- headers: the body takes precedence."""
    if event.get("event_id") != headers.get("webhook-id"):
        return "webhook-id is not the body's event_id"
    if event.get("event_type") != headers.get("x-ispvm-event-type"):
        return "X-ISPVM-Event-Type is not the body's event_type"
    tenant = event.get("tenant")
    if not isinstance(tenant, dict) or tenant.get("id") != headers.get("x-ispvm-tenant-id"):
        return "X-ISPVM-Tenant-ID is not the body's tenant"
    return ""
