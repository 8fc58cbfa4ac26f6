"""The TLS certificate files of the ingest listener."""

import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from apps.agents.pki import (
    certificate_hosts,
    create_server_csr,
    is_signed_by,
    normalize_host,
    serial_text,
)
from apps.agents.services.authority import current_trust
from apps.agents.services.signing import request_listener_certificate
from apps.audit.services import record_platform
from apps.authorization.actors import Actor

#: Remaining lifetime below which a certificate is replaced.
RENEW_BEFORE = timedelta(days=90)


@dataclass(frozen=True)
class ListenerFiles:
    """Paths of the CA bundle, the certificate chain and the key; ``written`` if they were replaced."""

    ca: Path
    certificate: Path
    key: Path
    not_after: datetime
    written: bool


def write_listener_certificate(
    *, folder: Path, hosts: Sequence[str], actor: Actor, at: datetime
) -> ListenerFiles:
    """Write ``ca.pem``, ``server.pem`` (followed by the CA) and ``server-key.pem`` (0600) to the folder.

    Idempotent: a certificate that is signed by the active CA, has exactly these hosts and is not near its expiry is not
    replaced. Raises SignerUnavailable if this process cannot sign and the signer does not answer.
    """
    trust = current_trust(at=at)
    authority = x509.load_pem_x509_certificate(trust.active.encode())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca, chain, key = folder / "ca.pem", folder / "server.pem", folder / "server-key.pem"
    _replace(ca, trust.bundle.encode(), mode=0o644)
    current = _usable(chain, key, authority, hosts, at)
    if current is not None:
        return ListenerFiles(ca, chain, key, current.not_valid_after_utc, written=False)
    csr_pem, key_pem = create_server_csr()
    pem = request_listener_certificate(csr_pem=csr_pem, hosts=sorted(hosts), at=at)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    # A crash between the two writes leaves a mismatched key, which the next run replaces.
    _replace(key, key_pem, mode=0o600)
    _replace(chain, (pem + trust.active).encode(), mode=0o644)
    record_platform(
        action="ingest.certificate_issued",
        actor=actor,
        entity=("certificate", serial_text(certificate)),
        at=at,
        detail={"hosts": sorted(hosts), "not_after": certificate.not_valid_after_utc.isoformat()},
    )
    return ListenerFiles(ca, chain, key, certificate.not_valid_after_utc, written=True)


def refresh_listener_certificate(*, folder: Path, actor: Actor, at: datetime) -> bool:
    """Renew the certificate and trust bundle of a running listener for its present hosts; returns whether they changed.

    The lock file makes one process of a group do it. Raises as ``write_listener_certificate``.
    """
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        old_bundle = (folder / "ca.pem").read_text(encoding="ascii")
        current = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
        hosts = sorted(certificate_hosts(current))
        files = write_listener_certificate(folder=folder, hosts=hosts, actor=actor, at=at)
        return files.written or files.ca.read_text(encoding="ascii") != old_bundle


def _usable(
    chain: Path, key: Path, authority: x509.Certificate, hosts: Sequence[str], at: datetime
) -> x509.Certificate | None:
    try:
        certificate = x509.load_pem_x509_certificate(chain.read_bytes())
        private_key = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError):
        return None
    is_usable = (
        is_signed_by(certificate, authority)
        and private_key.public_key() == certificate.public_key()
        and certificate_hosts(certificate) == {normalize_host(host) for host in hosts}
        and certificate.not_valid_before_utc <= at < certificate.not_valid_after_utc - RENEW_BEFORE
    )
    return certificate if is_usable else None


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as out:
        os.fchmod(handle, mode)  # regardless of the umask
        out.write(content)
        out.flush()
        os.fsync(handle)
    temporary.replace(path)
