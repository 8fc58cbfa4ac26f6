#!/usr/bin/env python3
"""Verify an ISPVisualMonitor webhook. Python 3.8 or later, standard library only.

    verify.py --secret-file SECRET --headers HEADERS.json --body BODY [--now UNIX_SECONDS]

In your own program: take `believe()`, give it the raw body (before any JSON parser saw it) and the headers
with lower-case names, and act on an event only if `order_of()` it is greater than that of the last one that
you applied for that incident. `event_id` repeats on retries: apply it once. `--applied EPOCH:SEQUENCE` of the
last one shows what a receiver would do.
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
import time


def believe(secret: str, headers: dict, body: bytes, now: float, tolerance: int = 300) -> dict:
    """The event, if it is genuine and fresh. Raises ValueError with the reason otherwise."""
    message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(now - int(timestamp)) > tolerance:
        raise ValueError("the timestamp is too far from our clock")
    key = base64.b64decode(secret[len("whsec_") :])
    content = f"{message_id}.{timestamp}.".encode() + body
    ours = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    # During a rotation there is one value per live secret, separated by spaces.
    if not any(hmac.compare_digest(ours, given) for given in headers["webhook-signature"].split()):
        raise ValueError("no signature matches")
    event = json.loads(body)
    if event["event_id"] != message_id:
        raise ValueError("webhook-id is not the body's event_id")
    return event


def order_of(event: dict) -> tuple:
    """Where an event stands among those of its incident. A restored database begins a new epoch."""
    incident = event["incident"]
    return incident.get("epoch", 0), incident["sequence"]


def believe_by_body_signature(secret: str, headers: dict, body: bytes) -> dict:
    """The same with `X-ISPVM-Signature` alone: simpler, but an old request can be replayed."""
    ours = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(ours, headers["x-ispvm-signature"]):
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
        event = believe(secret, headers, body, options.now)
        believe_by_body_signature(secret, headers, body)
    except (KeyError, ValueError) as error:
        print(f"REFUSED: {error}")
        return 1
    print(f"VERIFIED: {event['event_type']} {event['event_id']}")
    if options.applied and "incident" in event:
        applied = tuple(int(part) for part in options.applied.split(":"))
        print("APPLY" if order_of(event) > applied else "DROP: it is older than what was applied")
    return 0


if __name__ == "__main__":
    sys.exit(main())
