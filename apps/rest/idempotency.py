"""``Idempotency-Key`` on POST: the same request sent twice is done once, and answered twice alike."""

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
from apps.rest.models import IDEMPOTENCY_RETENTION, IdempotentAnswer

LONGEST_KEY = 200
#: Secrets that an answer shows once: they are not kept, so a repeated answer has none of them.
SHOWN_ONCE = frozenset({"token", "secret", "link"})


class KeyUnusable(DomainError):
    """Not 1 to 200 printable ASCII characters."""

    status = 400
    default_code = "idempotency_key_invalid"


class KeyReused(DomainError):
    """The key came before, with another body."""

    default_code = "idempotency_key_reused"


class Replayed(Exception):
    """This was done before; the answer of then is the answer."""

    def __init__(self, kept: IdempotentAnswer) -> None:
        super().__init__()
        self.kept = kept

    def response(self) -> Response:
        return Response(
            self.kept.body, status=self.kept.status, headers={"Idempotency-Replayed": "true"}
        )


def begin(access: Access, request: Request, at: datetime) -> IdempotentAnswer | None:
    """Take the request's key, if it has one; waits while the same request is under way.

    Raises Replayed, KeyReused, KeyUnusable.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not (key.isascii() and key.isprintable() and 0 < len(key) <= LONGEST_KEY):
        raise KeyUnusable(message=f"1 to {LONGEST_KEY} printable ASCII characters.")
    body = request._request.body  # noqa: SLF001  (before the parser has eaten the stream)
    who = f"{access.actor.kind}\n{access.actor.id}\n{request.get_full_path()}\n{key}"
    taken = IdempotentAnswer(
        request_digest=sha256(who.encode()).digest(),
        body_digest=sha256(body).digest(),
        created_at=at,
    )
    IdempotentAnswer.objects.filter(
        request_digest=taken.request_digest, created_at__lte=at - IDEMPOTENCY_RETENTION
    ).delete()
    try:
        with transaction.atomic():
            taken.save(force_insert=True)
    except IntegrityError:
        kept = IdempotentAnswer.objects.get(request_digest=taken.request_digest)
        if bytes(kept.body_digest) != taken.body_digest:
            raise KeyReused(
                message="This key came before with another body. Use a new one."
            ) from None
        raise Replayed(kept) from None
    return taken


def finish(taken: IdempotentAnswer, response: Response) -> None:
    """Keep a good answer; a refusal has been rolled back with everything else and may be tried again."""
    body: Any = json.loads(json.dumps(response.data, cls=JSONEncoder))
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in SHOWN_ONCE}
    taken.status, taken.body = response.status_code, body
    taken.save(update_fields=["status", "body"])
