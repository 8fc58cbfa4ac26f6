"""A5 on the agent's side: a wrong clock does not stop an enrolment, and renewal goes by the server's time."""

import random
import socket
import ssl
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.transport.contact import ConfigKeeper
from agent.transport.server import Lane
from agent.transport.tls import enrolling_context, own_certificate, strict_context
from apps.agents import pki
from apps.core import clock
from tests.agent.test_rotation import member

YEARS, HOUR = timedelta(days=3652), timedelta(hours=1)


def shakes_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> bool:
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
    ("error", "goes_on"),
    [(-YEARS, False), (-HOUR, True), (timedelta(0), True), (HOUR, True), (YEARS, False)],
)
def test_any_clock_can_enroll_and_a_usable_one_goes_on(tmp_path: Path, error, goes_on):
    """The server's certificates are of a time that this host's clock, off by ``error``, would call now."""
    at = clock.now() - error
    authority = pki.make_authority(name="CA", at=at)
    certificate, key = pki.issue_server_certificate(authority, hosts=["127.0.0.1"], at=at)
    path = tmp_path / "server.pem"
    path.write_bytes(key + pki.to_pem(certificate).encode())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)

    assert shakes_hands(enrolling_context(authority.certificate_pem), server)
    assert shakes_hands(strict_context(authority.certificate_pem), server) == goes_on


def test_another_authority_is_refused_at_enrolment_too(tmp_path: Path):
    at = clock.now()
    authority, other = (pki.make_authority(name="CA", at=at) for _ in range(2))
    certificate, key = pki.issue_server_certificate(other, hosts=["127.0.0.1"], at=at)
    path = tmp_path / "server.pem"
    path.write_bytes(key + pki.to_pem(certificate).encode())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)

    assert not shakes_hands(enrolling_context(authority.certificate_pem), server)
    with pytest.raises(AgentError):
        strict_context("no certificate")


@pytest.mark.parametrize(("days_behind", "renewed"), [(20, True), (0, False), (-20, False)])
def test_renewal_goes_by_the_servers_time(ingest, tmp_path: Path, days_behind, renewed):
    state = member(ingest.tenant, "pop-1", tmp_path / "state", ingest.url)
    lane = Lane(state, "")
    before = own_certificate(state.identity).serial_number
    stop, rng = threading.Event(), random.Random(1)
    keeper = ConfigKeeper(state, lane, stop, rng, lambda _config: None)
    keeper.clock_error = lambda: -timedelta(days=days_behind).total_seconds()

    keeper.once()

    lane.client().close()
    assert (own_certificate(state.identity).serial_number != before) == renewed
