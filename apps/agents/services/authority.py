"""The installation's certificate authorities: one signs; the next is told before it does; old ones are trusted until
nobody needs them."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from apps.agents import keys
from apps.agents.choices import AuthorityStage
from apps.agents.errors import AuthorityStageWrong, SignerAway
from apps.agents.models import AgentCertificate, CertificateAuthority
from apps.agents.pki import Authority, load_authority, make_authority
from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.vault.models import PlatformSecret
from apps.vault.services import platform_secret, seal_secret

#: Where the key was kept under the master key, before the signer had a key file of its own.
_FORMER_KEY, _FORMER_CERTIFICATE = "agents-ca-key", "agents-ca-certificate"
_MOVED = b"moved to the signer"
_NAME = "ISPVisualMonitor agents CA"


@dataclass(frozen=True)
class Trust:
    """Whom agents and the ingest listener trust now, as PEM texts."""

    active: str
    next: str | None
    old: tuple[str, ...]

    @property
    def bundle(self) -> str:
        """All of them, the active first."""
        return "".join([self.active, *self.old, *([self.next] if self.next else [])])

    @property
    def signed_with(self) -> str:
        """Those that a listener's certificate may still be signed by: the active and the old."""
        return "".join([self.active, *self.old])


def ensure_authority(*, at: datetime) -> Authority:
    """The authority that signs, with its key; made on first use, racing makers agree on one.

    Raises SignerAway in a process without the CA key file, MasterKeyInvalid, SecretUnreadable for a wrong one.
    """
    return open_authority(_ensure_row(at))


def open_authority(row: CertificateAuthority) -> Authority:
    """An authority with its key, from its row. Raises as ``ensure_authority``."""
    key_pem = keys.open_authority_key(row.fingerprint, bytes(row.sealed_key))
    return load_authority(bundle_pem=key_pem + row.certificate_pem.encode())


def active_authority(*, at: datetime) -> CertificateAuthority:
    """The row of the authority that signs. Raises SignerAway before the signer's first start."""
    row = CertificateAuthority.objects.filter(stage=AuthorityStage.ACTIVE).first()
    if row is not None:
        return row
    if not keys.may_sign():
        raise SignerAway(message="There is no certificate authority yet; start the signer.")
    return _ensure_row(at)


def authority_certificate(*, at: datetime) -> str:
    """The certificate of the authority that signs, as PEM, without touching its key. Raises SignerAway."""
    return active_authority(at=at).certificate_pem


def current_trust(*, at: datetime) -> Trust:
    """Whom to trust. One query. Raises SignerAway before the signer's first start."""
    by_stage: dict[str, list[str]] = {}
    rows = CertificateAuthority.objects.exclude(stage=AuthorityStage.RETIRED).order_by("created_at")
    for stage, pem in rows.values_list("stage", "certificate_pem"):
        by_stage.setdefault(stage, []).append(pem)
    return Trust(
        active=(by_stage.get(AuthorityStage.ACTIVE) or [authority_certificate(at=at)])[0],
        next=next(iter(by_stage.get(AuthorityStage.NEXT, [])), None),
        old=tuple(by_stage.get(AuthorityStage.OLD, [])),
    )


def make_next_authority(*, actor: Actor, at: datetime) -> CertificateAuthority:
    """A new authority that is told to agents and signs nothing yet. For the signer.

    Raises AuthorityStageWrong when there is one already, SignerAway, MasterKeyInvalid.
    """
    _ensure_row(at)
    try:
        with transaction.atomic():
            row = _store(_made(at), AuthorityStage.NEXT, at)
            record_platform(
                action="authority.staged",
                actor=actor,
                entity=("authority", row.id),
                at=at,
                detail={"fingerprint": row.fingerprint},
            )
    except IntegrityError as error:
        raise AuthorityStageWrong(
            "next_authority_exists", "There is a next authority already; promote it first."
        ) from error
    return row


def _ensure_row(at: datetime) -> CertificateAuthority:
    row = CertificateAuthority.objects.filter(stage=AuthorityStage.ACTIVE).first()
    if row is not None:
        return row
    try:
        with transaction.atomic():
            former = platform_secret(_FORMER_KEY)
            former = None if former == _MOVED else former
            authority = load_authority(bundle_pem=former) if former else _made(at)
            row = _store(authority, AuthorityStage.ACTIVE, at)
            AgentCertificate.objects.filter(authority=None).update(authority=row)
            record_platform(
                action="authority.adopted" if former else "authority.created",
                actor=Actor.system("signer"),
                entity=("authority", row.id),
                at=at,
                detail={"fingerprint": row.fingerprint},
            )
    except IntegrityError:  # another signer was first
        return CertificateAuthority.objects.get(stage=AuthorityStage.ACTIVE)
    _forget_former()
    return row


def _forget_former() -> None:
    """The key that ingest could open does not stay where it was."""
    for name in (_FORMER_KEY, _FORMER_CERTIFICATE):
        # Another text and not an empty one: the vault's rotations go on opening every row.
        sealed = seal_secret(
            table="vault_platformsecret", row_id=name, field="sealed", plaintext=_MOVED
        )
        PlatformSecret.objects.filter(name=name).update(sealed=sealed)


def _made(at: datetime) -> Authority:
    # Apart in people's eyes too, while two of them are trusted.
    return make_authority(name=f"{_NAME} {at:%Y-%m-%d} {secrets.token_hex(3)}", at=at)


def _store(authority: Authority, stage: AuthorityStage, at: datetime) -> CertificateAuthority:
    return CertificateAuthority.objects.create(
        stage=stage,
        certificate_pem=authority.certificate_pem,
        fingerprint=authority.fingerprint,
        sealed_key=keys.seal_authority_key(authority.fingerprint, authority.key_pem),
        created_at=at,
        promoted_at=at if stage == AuthorityStage.ACTIVE else None,
    )
