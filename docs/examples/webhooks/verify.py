#!/usr/bin/env python3
"""Verify an ISPVisualMonitor webhook. Python 3.8 or later, standard library only.

    verify.py --secret-file SECRET --headers HEADERS.json --body BODY [--now UNIX_SECONDS]

In your own program: copy `verify_webhook()`, call it with the raw body (not parsed and re-encoded) and the headers
with lower-case names, and apply an event only if its `event_order()` is greater than that of the last event that
you applied for that incident. `event_id` repeats on retries: apply it once. `--applied EPOCH:SEQUENCE` of the
last applied event shows what a receiver would do.
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
import time


def verify_webhook(
    secret: str, headers: dict, body: bytes, now: float, tolerance: int = 300
) -> dict:
    """Return the event if its signature is valid and recent. Raises ValueError with the reason otherwise."""
    message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(now - int(timestamp)) > tolerance:
        raise ValueError("the timestamp is too far from our clock")
    key = base64.b64decode(secret[len("whsec_") :])
    content = f"{message_id}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    # During a rotation there is one value per live secret, separated by spaces.
    if not any(
        hmac.compare_digest(expected, value) for value in headers["webhook-signature"].split()
    ):
        raise ValueError("no signature matches")
    event = json.loads(body)
    if event["event_id"] != message_id:
        raise ValueError("webhook-id is not the body's event_id")
    return event


def event_order(event: dict) -> tuple:
    """Position of an event among those of its incident. A restored database begins a new epoch."""
    incident = event["incident"]
    return incident.get("epoch", 0), incident["sequence"]


def verify_body_signature(secret: str, headers: dict, body: bytes) -> dict:
    """Verify `X-ISPVM-Signature` only: simpler, but an old request can be replayed."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, headers["x-ispvm-signature"]):
        raise ValueError("the signature does not match")
    return json.loads(body)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--secret-file", required=True)
    parser.add_argument("--headers", required=True)
    parser.add_argument("--body", required=True)
    parser.add_argument("--now", type=float, default=time.time())
    parser.add_argument("--applied", metavar="EPOCH:SEQUENCE")
    options = parser.parse_args()
    with open(options.secret_file) as file:
        secret = file.read().strip()
    with open(options.headers) as file:
        headers = json.load(file)
    with open(options.body, "rb") as file:
        body = file.read()
    try:
        event = verify_webhook(secret, headers, body, options.now)
        verify_body_signature(secret, headers, body)
    except (KeyError, ValueError) as error:
        print(f"REFUSED: {error}")
        return 1
    print(f"VERIFIED: {event['event_type']} {event['event_id']}")
    if options.applied and "incident" in event:
        applied = tuple(int(part) for part in options.applied.split(":"))
        print(
            "APPLY" if event_order(event) > applied else "DROP: it is older than what was applied"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
