"""The ingest listener's own certificate, as files that its process reads."""

import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from apps.agents.pki import (
    canonical_host,
    covered_hosts,
    is_signed_by,
    make_server_request,
    serial_text,
)
from apps.agents.services.authority import current_trust
from apps.agents.services.signing import apply_for_listener
from apps.audit.services import record_platform
from apps.authorization.actors import Actor

#: A certificate with less than this left is replaced.
RENEW_BEFORE = timedelta(days=90)


@dataclass(frozen=True)
class ListenerFiles:
    """Where the listener finds its CA, its certificate chain and its key; ``written`` if they are new."""

    ca: Path
    certificate: Path
    key: Path
    not_after: datetime
    written: bool


def write_listener_certificate(
    *, folder: Path, hosts: Sequence[str], actor: Actor, at: datetime
) -> ListenerFiles:
    """Put ``ca.pem``, ``server.pem`` (with the CA behind it) and ``server-key.pem`` (0600) into the folder.

    Idempotent: kept while it is signed by the active CA, good for exactly these hosts, and not near its end.
    Raises SignerAway in a process that cannot sign while the signer does not answer.
    """
    trust = current_trust(at=at)
    authority = x509.load_pem_x509_certificate(trust.active.encode())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca, chain, key = folder / "ca.pem", folder / "server.pem", folder / "server-key.pem"
    _replace(ca, trust.bundle.encode(), mode=0o644)
    current = _usable(chain, key, authority, hosts, at)
    if current is not None:
        return ListenerFiles(ca, chain, key, current.not_valid_after_utc, written=False)
    csr_pem, key_pem = make_server_request()
    pem = apply_for_listener(csr_pem=csr_pem, hosts=sorted(hosts), at=at)
    made = x509.load_pem_x509_certificate(pem.encode())
    # A crash between the two leaves a key that does not fit, which the next run sees.
    _replace(key, key_pem, mode=0o600)
    _replace(chain, (pem + trust.active).encode(), mode=0o644)
    record_platform(
        action="ingest.certificate_issued",
        actor=actor,
        entity=("certificate", serial_text(made)),
        at=at,
        detail={"hosts": sorted(hosts), "not_after": made.not_valid_after_utc.isoformat()},
    )
    return ListenerFiles(ca, chain, key, made.not_valid_after_utc, written=True)


def refresh_listener_certificate(*, folder: Path, actor: Actor, at: datetime) -> bool:
    """Follow the authorities while the listener runs, for the hosts that its certificate names; whether it changed.

    One process of a group does it, the others see that it is done. Raises as ``write_listener_certificate``.
    """
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        trusted = (folder / "ca.pem").read_text(encoding="ascii")
        current = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
        hosts = sorted(covered_hosts(current))
        files = write_listener_certificate(folder=folder, hosts=hosts, actor=actor, at=at)
        return files.written or files.ca.read_text(encoding="ascii") != trusted


def _usable(
    chain: Path, key: Path, authority: x509.Certificate, hosts: Sequence[str], at: datetime
) -> x509.Certificate | None:
    try:
        found = x509.load_pem_x509_certificate(chain.read_bytes())
        own = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError):
        return None
    fits = (
        is_signed_by(found, authority)
        and own.public_key() == found.public_key()
        and covered_hosts(found) == {canonical_host(host) for host in hosts}
        and found.not_valid_before_utc <= at < found.not_valid_after_utc - RENEW_BEFORE
    )
    return found if fits else None


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as out:
        os.fchmod(handle, mode)  # whatever the umask was
        out.write(content)
        out.flush()
        os.fsync(handle)
    beside.replace(path)
