"""``Idempotency-Key`` on POST: a repeated request runs once and gets the stored response."""

import json
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db import IntegrityError, transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from apps.authorization.access import Access
from apps.core.errors import DomainError
from apps.rest.models import IDEMPOTENCY_RETENTION, IdempotencyRecord

MAX_KEY_LENGTH = 200
#: Secrets that a response shows once: they are not stored, so a replayed response lacks them.
SHOWN_ONCE = frozenset({"token", "secret", "link"})


class KeyUnusable(DomainError):
    """Not 1 to 200 printable ASCII characters."""

    status = 400
    default_code = "idempotency_key_invalid"


class KeyReused(DomainError):
    """The key was used before, with another body."""

    default_code = "idempotency_key_reused"


class Replayed(Exception):
    """The request was done before; its stored response is returned."""

    def __init__(self, stored: IdempotencyRecord) -> None:
        super().__init__()
        self.stored = stored

    def response(self) -> Response:
        return Response(
            self.stored.body, status=self.stored.status, headers={"Idempotency-Replayed": "true"}
        )


def begin(access: Access, request: Request, at: datetime) -> IdempotencyRecord | None:
    """Reserve the request's key, if it has one; waits while the same request is in progress.

    Raises Replayed, KeyReused, KeyUnusable.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not (key.isascii() and key.isprintable() and 0 < len(key) <= MAX_KEY_LENGTH):
        raise KeyUnusable(message=f"1 to {MAX_KEY_LENGTH} printable ASCII characters.")
    body = request._request.body  # noqa: SLF001  (before the parser consumes the stream)
    who = f"{access.actor.kind}\n{access.actor.id}\n{request.get_full_path()}\n{key}"
    record = IdempotencyRecord(
        request_digest=sha256(who.encode()).digest(),
        body_digest=sha256(body).digest(),
        created_at=at,
    )
    IdempotencyRecord.objects.filter(
        request_digest=record.request_digest, created_at__lte=at - IDEMPOTENCY_RETENTION
    ).delete()
    try:
        with transaction.atomic():
            record.save(force_insert=True)
    except IntegrityError:
        stored = IdempotencyRecord.objects.get(request_digest=record.request_digest)
        if bytes(stored.body_digest) != record.body_digest:
            raise KeyReused(
                message="This key was used before with another body. Use a new one."
            ) from None
        raise Replayed(stored) from None
    return record


def finish(record: IdempotencyRecord, response: Response) -> None:
    """Store a successful response; after an error everything was rolled back and the request may be retried."""
    body: Any = json.loads(json.dumps(response.data, cls=JSONEncoder))
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in SHOWN_ONCE}
    record.status, record.body = response.status_code, body
    record.save(update_fields=["status", "body"])
