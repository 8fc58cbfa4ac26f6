"""The installation's certificate authorities: one active, a next one that is published before it signs, and old ones
that stay trusted until no agent depends on them."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from apps.agents import keys
from apps.agents.choices import AuthorityStage
from apps.agents.errors import AuthorityStageWrong, SignerUnavailable
from apps.agents.models import AgentCertificate, CertificateAuthority
from apps.agents.pki import Authority, create_authority, load_authority
from apps.audit.services import record_platform
from apps.authorization.actors import Actor
from apps.vault.models import PlatformSecret
from apps.vault.services import platform_secret, seal_secret

#: Platform secrets that held the CA key before the signer had its own key file.
_FORMER_KEY_NAME, _FORMER_CERTIFICATE_NAME = "agents-ca-key", "agents-ca-certificate"
_MOVED_MARKER = b"moved to the signer"
_NAME = "ISPVisualMonitor agents CA"


@dataclass(frozen=True)
class Trust:
    """The authorities that agents and the ingest listener trust, in PEM."""

    active: str
    next: str | None
    old: tuple[str, ...]

    @property
    def bundle(self) -> str:
        """All trusted authorities, the active first."""
        return "".join([self.active, *self.old, *([self.next] if self.next else [])])

    @property
    def listener_issuers(self) -> str:
        """The authorities that may have signed the listener's certificate: active and old."""
        return "".join([self.active, *self.old])


def ensure_authority(*, at: datetime) -> Authority:
    """The active authority with its key; created on first use, concurrent callers agree on one.

    Raises SignerUnavailable in a process without the CA key file, MasterKeyInvalid, SecretUnreadable for a wrong one.
    """
    return open_authority(_ensure_row(at))


def open_authority(row: CertificateAuthority) -> Authority:
    """An authority with its key, from its row. Raises as ``ensure_authority``."""
    key_pem = keys.open_authority_key(row.fingerprint, bytes(row.sealed_key))
    return load_authority(bundle_pem=key_pem + row.certificate_pem.encode())


def active_authority(*, at: datetime) -> CertificateAuthority:
    """The row of the active authority. Raises SignerUnavailable before the signer's first start."""
    row = CertificateAuthority.objects.filter(stage=AuthorityStage.ACTIVE).first()
    if row is not None:
        return row
    if not keys.may_sign():
        raise SignerUnavailable(message="There is no certificate authority yet; start the signer.")
    return _ensure_row(at)


def authority_certificate(*, at: datetime) -> str:
    """The certificate of the active authority in PEM, without opening its key. Raises SignerUnavailable."""
    return active_authority(at=at).certificate_pem


def current_trust(*, at: datetime) -> Trust:
    """The trusted authorities. One query. Raises SignerUnavailable before the signer's first start."""
    by_stage: dict[str, list[str]] = {}
    rows = CertificateAuthority.objects.exclude(stage=AuthorityStage.RETIRED).order_by("created_at")
    for stage, pem in rows.values_list("stage", "certificate_pem"):
        by_stage.setdefault(stage, []).append(pem)
    return Trust(
        active=(by_stage.get(AuthorityStage.ACTIVE) or [authority_certificate(at=at)])[0],
        next=next(iter(by_stage.get(AuthorityStage.NEXT, [])), None),
        old=tuple(by_stage.get(AuthorityStage.OLD, [])),
    )


def create_next_authority(*, actor: Actor, at: datetime) -> CertificateAuthority:
    """Create the next authority, which is published to agents and does not sign yet. For the signer.

    Raises AuthorityStageWrong if one exists, SignerUnavailable, MasterKeyInvalid.
    """
    _ensure_row(at)
    try:
        with transaction.atomic():
            row = _store(_create_authority(at), AuthorityStage.NEXT, at)
            record_platform(
                action="authority.staged",
                actor=actor,
                entity=("authority", row.id),
                at=at,
                detail={"fingerprint": row.fingerprint},
            )
    except IntegrityError as error:
        raise AuthorityStageWrong(
            "next_authority_exists", "A next authority exists already; promote it first."
        ) from error
    return row


def _ensure_row(at: datetime) -> CertificateAuthority:
    row = CertificateAuthority.objects.filter(stage=AuthorityStage.ACTIVE).first()
    if row is not None:
        return row
    try:
        with transaction.atomic():
            former = platform_secret(_FORMER_KEY_NAME)
            former = None if former == _MOVED_MARKER else former
            authority = load_authority(bundle_pem=former) if former else _create_authority(at)
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
    _erase_former_key()
    return row


def _erase_former_key() -> None:
    """Overwrite the old copies of the key, which ingest could open."""
    for name in (_FORMER_KEY_NAME, _FORMER_CERTIFICATE_NAME):
        # Not empty: rotations of the vault open every non-empty row.
        sealed = seal_secret(
            table="vault_platformsecret", row_id=name, field="sealed", plaintext=_MOVED_MARKER
        )
        PlatformSecret.objects.filter(name=name).update(sealed_value=sealed)


def _create_authority(at: datetime) -> Authority:
    # A distinct name, because two of them are trusted during a rollover.
    return create_authority(name=f"{_NAME} {at:%Y-%m-%d} {secrets.token_hex(3)}", at=at)


def _store(authority: Authority, stage: AuthorityStage, at: datetime) -> CertificateAuthority:
    return CertificateAuthority.objects.create(
        stage=stage,
        certificate_pem=authority.certificate_pem,
        fingerprint=authority.fingerprint,
        sealed_key=keys.seal_authority_key(authority.fingerprint, authority.key_pem),
        created_at=at,
        promoted_at=at if stage == AuthorityStage.ACTIVE else None,
    )
