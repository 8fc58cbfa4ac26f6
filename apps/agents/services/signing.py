"""Signing requests: a table between the processes that serve agents and the signer.

Processes that serve agents have no CA key. They write a request and wait; the signer verifies token, certificate and
agent in the database, signs, and answers in one transaction. If a signer crashes, the next one takes the request. A
requester that times out deletes its request, so that its token stays unused.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now

from apps.agents import keys
from apps.agents.choices import SigningKind, SigningState
from apps.agents.errors import CertificateRequestRefused, SignerUnavailable, SigningRefused
from apps.agents.identity import AgentIdentity, authenticate_certificate
from apps.agents.models import SigningRequest
from apps.agents.pki import sign_server_key, to_pem, validate_csr
from apps.agents.services.authority import create_next_authority, ensure_authority
from apps.agents.services.enrollment import (
    EnrollmentRequest,
    IssuedCertificate,
    enroll,
    renew_certificate,
)
from apps.agents.tokens import TokenSecret
from apps.authorization.actors import Actor
from apps.core import clock
from apps.core.errors import DomainError

log = structlog.get_logger(__name__)

#: Below the five seconds that an agent waits for a response.
SIGNER_TIMEOUT_SECONDS = 3.5
POLL_INTERVAL_SECONDS = 0.03
#: How long a repeated request gets the same answer, for agents that lost the response.
ANSWER_RETENTION = timedelta(minutes=10)
#: Threads per process that may wait for the signer: an unavailable signer must not block batches.
_waiters = threading.BoundedSemaphore(2)


def request_enrollment(request: EnrollmentRequest, *, at: datetime) -> IssuedCertificate:
    """``enroll`` by the signer. Raises as it does, and SignerUnavailable; the token is then unused."""
    validate_csr(request.csr_pem)
    if keys.may_sign():
        return enroll(request, at=at)
    token = request.token
    payload = {**asdict(request), "token": None}
    if token is not None:
        payload["token"] = {"tenant_id": str(token.tenant_id), "proof": token.proof.hex()}
    answer = _submit_and_wait(SigningKind.ENROLL, payload, at)
    return msgspec.convert(answer, IssuedCertificate)


def request_renewal(
    *, identity: AgentIdentity, der: bytes, csr_pem: str, at: datetime
) -> IssuedCertificate:
    """``renew_certificate`` by the signer, with the presented certificate. Raises as it does, and SignerUnavailable."""
    validate_csr(csr_pem)
    if keys.may_sign():
        return renew_certificate(identity=identity, csr_pem=csr_pem, at=at)
    answer = _submit_and_wait(SigningKind.RENEW, {"der": der.hex(), "csr_pem": csr_pem}, at)
    return msgspec.convert(answer, IssuedCertificate)


def request_listener_certificate(*, csr_pem: str, hosts: list[str], at: datetime) -> str:
    """The ingest listener's certificate as PEM. Raises SignerUnavailable, CertificateRequestRefused."""
    payload = {"csr_pem": csr_pem, "hosts": hosts}
    if keys.may_sign():
        return str(_sign_listener(payload, at)["certificate_pem"])
    answer = _submit_and_wait(SigningKind.LISTENER, payload, at)
    return str(answer["certificate_pem"])


def stage_authority(*, actor: Actor, at: datetime) -> str:
    """Create the next authority; agents receive it with their next config. Returns its fingerprint.

    Raises AuthorityStageWrong (or its code by the signer), SignerUnavailable.
    """
    payload = actor.as_dict()
    if keys.may_sign():
        return str(_stage(payload, at)["fingerprint"])
    answer = _submit_and_wait(SigningKind.STAGE, payload, at)
    return str(answer["fingerprint"])


def process_pending_requests(*, at: datetime) -> int:
    """Answer pending requests, each in its own transaction; returns the count. Idempotent.

    Locks: each request; those locked by another signer are skipped.
    """
    answered = 0
    while _answer_one(at):
        answered += 1
    return answered


def delete_old_requests(*, at: datetime) -> None:
    """Delete requests that are past the answer retention."""
    SigningRequest.objects.filter(created_at__lt=at - ANSWER_RETENTION).delete()


def _answer_one(at: datetime) -> bool:
    with transaction.atomic():
        row = (
            SigningRequest.objects.select_for_update(skip_locked=True)
            .filter(state=SigningState.WAITING, expires_at__gt=Now())
            .order_by("created_at")
            .first()
        )
        if row is None:
            return False
        try:
            row.answer = _earlier_answer(row, at) or _HANDLERS[row.kind](row.payload, at)
            row.state = SigningState.DONE
        except DomainError as error:
            row.state = SigningState.REFUSED
            row.answer = {"code": error.code, "message": error.message, "status": error.status}
        row.save(update_fields=["state", "answer"])
    log.info("signing_answered", kind=row.kind, state=row.state)
    return True


def _earlier_answer(row: SigningRequest, at: datetime) -> dict[str, Any] | None:
    if row.kind not in {SigningKind.ENROLL, SigningKind.RENEW}:
        return None
    earlier = SigningRequest.objects.filter(
        digest=row.digest, state=SigningState.DONE, created_at__gt=at - ANSWER_RETENTION
    ).first()
    return dict(earlier.answer) if earlier else None


def _submit_and_wait(kind: SigningKind, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    if not _waiters.acquire(blocking=False):
        raise SignerUnavailable(message="The signer is busy; retry in a moment.")
    try:
        return _wait(_submit(kind, payload, at))
    finally:
        _waiters.release()


def _submit(kind: SigningKind, payload: Mapping[str, Any], at: datetime) -> UUID:
    text = json.dumps([kind, payload], sort_keys=True)
    row = SigningRequest.objects.create(
        kind=kind,
        digest=hashlib.sha256(text.encode()).digest(),
        payload=dict(payload),
        created_at=at,
        # By the database's clock, which the signer also uses.
        expires_at=Now() + timedelta(seconds=SIGNER_TIMEOUT_SECONDS),
    )
    return row.id


def _wait(request_id: UUID) -> dict[str, Any]:
    deadline = time.monotonic() + SIGNER_TIMEOUT_SECONDS
    own_request = SigningRequest.objects.filter(pk=request_id)
    while time.monotonic() < deadline:
        row = own_request.exclude(state=SigningState.WAITING).first()
        if row is not None:
            return _read(row)
        time.sleep(POLL_INTERVAL_SECONDS)
    # Waits for the row lock of a signer that is processing it: then it is either answered or deleted.
    if own_request.filter(state=SigningState.WAITING).delete()[0]:
        log.warning("signer_unavailable")
        raise SignerUnavailable(message="Nothing can be signed now; retry the same request later.")
    return _read(own_request.get())


def _read(row: SigningRequest) -> dict[str, Any]:
    if row.state == SigningState.REFUSED:
        error = row.answer
        if error["code"].startswith("csr_"):
            raise CertificateRequestRefused(error["code"], error["message"])
        raise SigningRefused(error["code"], error["message"], int(error["status"]))
    return dict(row.answer)


def _enroll(payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    token = payload["token"]
    if token is not None:
        token = TokenSecret(UUID(token["tenant_id"]), bytes.fromhex(token["proof"]))
    return _as_json(enroll(EnrollmentRequest(**{**payload, "token": token}), at=at))


def _renew(payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    # Checked again: the requester is not trusted.
    identity = authenticate_certificate(
        der=bytes.fromhex(payload["der"]), at=at, for_renewal=True, skip_cache=True
    )
    return _as_json(renew_certificate(identity=identity, csr_pem=payload["csr_pem"], at=at))


def _as_json(issued: IssuedCertificate) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.to_builtins(issued)
    return answer


def _sign_listener(payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    certificate = sign_server_key(
        ensure_authority(at=at),
        public_key=validate_csr(payload["csr_pem"]),
        hosts=payload["hosts"],
        at=at,
    )
    return {"certificate_pem": to_pem(certificate)}


def _stage(payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    row = create_next_authority(
        actor=Actor(payload["kind"], payload["id"], payload["label"]), at=at
    )
    return {"fingerprint": row.fingerprint}


_HANDLERS: dict[str, Callable[[Mapping[str, Any], datetime], dict[str, Any]]] = {
    SigningKind.ENROLL: _enroll,
    SigningKind.RENEW: _renew,
    SigningKind.LISTENER: _sign_listener,
    SigningKind.STAGE: _stage,
}


def check_signer(*, at: datetime) -> str:
    """Create or open the authority at the signer's start, so that a wrong key file fails at once.

    Returns the fingerprint of the active authority. Raises MasterKeyInvalid, SecretUnreadable, SignerUnavailable.
    """
    return ensure_authority(at=at).fingerprint


def run_signer(stop: threading.Event, *, every_seconds: float) -> None:
    """The signer's loop: process requests until stopped. Retries while the database is unavailable."""
    last_cleanup = clock.now()
    while not stop.is_set():
        try:
            process_pending_requests(at=clock.now())
            if clock.now() - last_cleanup > ANSWER_RETENTION / 10:
                last_cleanup = clock.now()
                delete_old_requests(at=last_cleanup)
        except (OperationalError, InterfaceError):
            log.warning("signer_database_unavailable")
            connection.close()
            stop.wait(1.0)
        except Exception:
            log.exception("signer_failed")
            stop.wait(1.0)
        stop.wait(every_seconds)
