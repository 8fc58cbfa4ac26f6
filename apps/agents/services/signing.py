"""Between those who want something signed and the signer: a row asked, a row answered.

The process that serves agents has no CA key. It writes a request and waits a moment; the signer checks the request by
the database itself (token, certificate, agent), signs, and answers in one transaction. A signer that is killed leaves
the request waiting for the next one; an asker that gives up withdraws it, so that no token is spent on nobody.
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

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now

from apps.agents import keys
from apps.agents.choices import SigningKind, SigningState
from apps.agents.errors import CertificateRequestRefused, SignerAway, SigningRefused
from apps.agents.identity import AgentIdentity, authenticate_certificate
from apps.agents.models import SigningRequest
from apps.agents.pki import sign_server_key, to_pem, vet_request
from apps.agents.services.authority import ensure_authority, make_next_authority
from apps.agents.services.enrollment import (
    Application,
    IssuedCertificate,
    enroll,
    renew_certificate,
)
from apps.agents.tokens import TokenSecret
from apps.authorization.actors import Actor
from apps.core import clock
from apps.core.errors import DomainError

log = structlog.get_logger(__name__)

#: An agent waits five seconds for an answer to begin.
PATIENCE_SECONDS = 3.5
LOOK_SECONDS = 0.03
#: For this long the same question gets the same answer: an agent that lost it asks again.
REMEMBERED = timedelta(minutes=10)
#: Threads of one process that wait for the signer at once: a signer that is away must not hold up batches.
_waiting_here = threading.BoundedSemaphore(2)


def apply_for_enrollment(application: Application, *, at: datetime) -> IssuedCertificate:
    """``enroll`` by the signer. Raises as it does, and SignerAway; the token is then unused."""
    vet_request(application.csr_pem)
    if keys.may_sign():
        return enroll(application, at=at)
    token = application.token
    said = {**asdict(application), "token": None}
    if token is not None:
        said["token"] = {"tenant_id": str(token.tenant_id), "proof": token.proof.hex()}
    return _issued(_ask(SigningKind.ENROLL, said, at))


def apply_for_renewal(
    *, identity: AgentIdentity, der: bytes, csr_pem: str, at: datetime
) -> IssuedCertificate:
    """``renew_certificate`` by the signer, over the certificate that was shown. Raises as it does, and SignerAway."""
    vet_request(csr_pem)
    if keys.may_sign():
        return renew_certificate(identity=identity, csr_pem=csr_pem, at=at)
    return _issued(_ask(SigningKind.RENEW, {"der": der.hex(), "csr_pem": csr_pem}, at))


def apply_for_listener(*, csr_pem: str, hosts: list[str], at: datetime) -> str:
    """The ingest listener's certificate as PEM. Raises SignerAway, CertificateRequestRefused."""
    said = {"csr_pem": csr_pem, "hosts": hosts}
    answer = _sign_listener(said, at) if keys.may_sign() else _ask(SigningKind.LISTENER, said, at)
    return str(answer["certificate_pem"])


def stage_authority(*, actor: Actor, at: datetime) -> str:
    """Have the next authority made; agents hear of it with their next config. Returns its fingerprint.

    Raises AuthorityStageWrong (or its code by the signer), SignerAway.
    """
    said = actor.as_dict()
    answer = _stage(said, at) if keys.may_sign() else _ask(SigningKind.STAGE, said, at)
    return str(answer["fingerprint"])


def sign_waiting(*, at: datetime) -> int:
    """The signer's work: answer what waits, each in a transaction of its own; returns how many. Idempotent.

    Locks: each request, passing over those that another signer has.
    """
    answered = 0
    while _answer_one(at):
        answered += 1
    return answered


def forget_answered(*, at: datetime) -> None:
    """Answers that nobody will ask for again, and questions that nobody waits for."""
    SigningRequest.objects.filter(created_at__lt=at - REMEMBERED).delete()


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
            row.answer = _known_answer(row, at) or _HANDLERS[row.kind](row.payload, at)
            row.state = SigningState.DONE
        except DomainError as error:
            row.state = SigningState.REFUSED
            row.answer = {"code": error.code, "message": error.message, "status": error.status}
        row.save(update_fields=["state", "answer"])
    log.info("signing_answered", kind=row.kind, state=row.state)
    return True


def _known_answer(row: SigningRequest, at: datetime) -> dict[str, Any] | None:
    if row.kind not in {SigningKind.ENROLL, SigningKind.RENEW}:
        return None
    known = SigningRequest.objects.filter(
        digest=row.digest, state=SigningState.DONE, created_at__gt=at - REMEMBERED
    ).first()
    return dict(known.answer) if known else None


def _ask(kind: SigningKind, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    if not _waiting_here.acquire(blocking=False):
        raise SignerAway(message="The signer is busy; come again in a moment.")
    try:
        return _wait(_post(kind, payload, at))
    finally:
        _waiting_here.release()


def _post(kind: SigningKind, payload: Mapping[str, Any], at: datetime) -> UUID:
    text = json.dumps([kind, payload], sort_keys=True)
    row = SigningRequest.objects.create(
        kind=kind,
        digest=hashlib.sha256(text.encode()).digest(),
        payload=dict(payload),
        created_at=at,
        # By the database's clock, which the signer asks too.
        expires_at=Now() + timedelta(seconds=PATIENCE_SECONDS),
    )
    return row.id


def _wait(request_id: UUID) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    mine = SigningRequest.objects.filter(pk=request_id)
    while time.monotonic() < deadline:
        row = mine.exclude(state=SigningState.WAITING).first()
        if row is not None:
            return _read(row)
        time.sleep(LOOK_SECONDS)
    # Waits for a signer that is at it: after this the request is answered or was never asked.
    if mine.filter(state=SigningState.WAITING).delete()[0]:
        log.warning("signer_away")
        raise SignerAway(message="Nothing can be signed now; send the same again later.")
    return _read(mine.get())


def _read(row: SigningRequest) -> dict[str, Any]:
    if row.state == SigningState.REFUSED:
        refused = row.answer
        if refused["code"].startswith("csr_"):
            raise CertificateRequestRefused(refused["code"], refused["message"])
        raise SigningRefused(refused["code"], refused["message"], int(refused["status"]))
    return dict(row.answer)


def _enroll(said: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    token = said["token"]
    if token is not None:
        token = TokenSecret(UUID(token["tenant_id"]), bytes.fromhex(token["proof"]))
    return _told(enroll(Application(**{**said, "token": token}), at=at))


def _renew(said: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    # Looked up anew: whoever wrote the request is not taken at its word.
    identity = authenticate_certificate(
        der=bytes.fromhex(said["der"]), at=at, for_renewal=True, afresh=True
    )
    return _told(renew_certificate(identity=identity, csr_pem=said["csr_pem"], at=at))


def _sign_listener(said: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    certificate = sign_server_key(
        ensure_authority(at=at),
        public_key=vet_request(said["csr_pem"]),
        hosts=said["hosts"],
        at=at,
    )
    return {"certificate_pem": to_pem(certificate)}


def _stage(said: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    row = make_next_authority(actor=Actor(said["kind"], said["id"], said["label"]), at=at)
    return {"fingerprint": row.fingerprint}


_HANDLERS: dict[str, Callable[[Mapping[str, Any], datetime], dict[str, Any]]] = {
    SigningKind.ENROLL: _enroll,
    SigningKind.RENEW: _renew,
    SigningKind.LISTENER: _sign_listener,
    SigningKind.STAGE: _stage,
}


def _told(issued: IssuedCertificate) -> dict[str, Any]:
    return {
        "agent_id": str(issued.agent_id),
        "tenant_id": str(issued.tenant_id),
        "certificate_pem": issued.certificate_pem,
        "ca_pem": issued.ca_pem,
        "not_after": issued.not_after.isoformat(),
    }


def _issued(answer: Mapping[str, Any]) -> IssuedCertificate:
    return IssuedCertificate(
        agent_id=UUID(answer["agent_id"]),
        tenant_id=UUID(answer["tenant_id"]),
        certificate_pem=answer["certificate_pem"],
        ca_pem=answer["ca_pem"],
        not_after=datetime.fromisoformat(answer["not_after"]),
    )


def check_signer(*, at: datetime) -> str:
    """At the signer's start: make or open the authority, so that a wrong key file is told at once.

    Returns the fingerprint of the authority that signs. Raises MasterKeyInvalid, SecretUnreadable, SignerAway.
    """
    return ensure_authority(at=at).fingerprint


def now_and_again(stop: threading.Event, *, every_seconds: float) -> None:
    """The signer's life: answer, look around, until it is to stop. A database that is away is waited for."""
    tidied = clock.now()
    while not stop.is_set():
        try:
            sign_waiting(at=clock.now())
            if clock.now() - tidied > REMEMBERED / 10:
                tidied = clock.now()
                forget_answered(at=tidied)
        except (OperationalError, InterfaceError):
            log.warning("signer_database_away")
            connection.close()
            stop.wait(1.0)
        except Exception:
            log.exception("signer_failed")
            stop.wait(1.0)
        stop.wait(every_seconds)
