"""A5 on the agent's side: a wrong clock does not prevent enrollment, and renewal follows the server's clock."""

import random
import socket
import ssl
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.transport.config_loop import ConfigLoop
from agent.transport.ingest_client import IngestClient
from agent.transport.tls import enrollment_context, own_certificate, strict_context
from apps.agents import pki
from apps.core import clock
from tests.agent.test_rotation import member

YEARS, HOUR = timedelta(days=3652), timedelta(hours=1)


def completes_handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> bool:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(300)

        def serve() -> None:
            raw, _ = listener.accept()
            try:
                with server.wrap_socket(raw, server_side=True) as wrapped:
                    wrapped.recv(1)
            except OSError:
                raw.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=300) as raw,
                client.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped,
            ):
                wrapped.sendall(b"x")
        except ssl.SSLCertVerificationError:
            return False
        finally:
            thread.join(timeout=300)
    return True


@pytest.mark.parametrize(
    ("error", "is_usable"),
    [(-YEARS, False), (-HOUR, True), (timedelta(0), True), (HOUR, True), (YEARS, False)],
)
def test_enrollment_ignores_the_clock_and_later_connections_do_not(
    tmp_path: Path, error, is_usable
):
    """The server's certificates are issued at a time that this host's clock, skewed by ``error``, shows as now."""
    at = clock.now() - error
    authority = pki.create_authority(name="CA", at=at)
    certificate, key = pki.issue_server_certificate(authority, hosts=["127.0.0.1"], at=at)
    path = tmp_path / "server.pem"
    path.write_bytes(key + pki.to_pem(certificate).encode())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)

    assert completes_handshake(enrollment_context(authority.certificate_pem), server)
    assert completes_handshake(strict_context(authority.certificate_pem), server) == is_usable


def test_another_authority_is_refused_at_enrollment_too(tmp_path: Path):
    at = clock.now()
    authority, other = (pki.create_authority(name="CA", at=at) for _ in range(2))
    certificate, key = pki.issue_server_certificate(other, hosts=["127.0.0.1"], at=at)
    path = tmp_path / "server.pem"
    path.write_bytes(key + pki.to_pem(certificate).encode())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)

    assert not completes_handshake(enrollment_context(authority.certificate_pem), server)
    with pytest.raises(AgentError):
        strict_context("no certificate")


@pytest.mark.parametrize(("days_behind", "renewed"), [(20, True), (0, False), (-20, False)])
def test_renewal_follows_the_servers_clock(ingest, tmp_path: Path, days_behind, renewed):
    state = member(ingest.tenant, "pop-1", tmp_path / "state", ingest.url)
    client = IngestClient(state, "")
    before = own_certificate(state.identity).serial_number
    stop, rng = threading.Event(), random.Random(1)
    config_loop = ConfigLoop(state, client, stop, rng, lambda _config: None)
    config_loop.clock_skew = lambda: -timedelta(days=days_behind).total_seconds()

    config_loop.run_once()

    client.http().close()
    assert (own_certificate(state.identity).serial_number != before) == renewed
