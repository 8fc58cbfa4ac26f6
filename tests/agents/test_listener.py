"""The listener's files, and a real TLS handshake over loopback with what was issued."""

import socket
import ssl
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from django.core.management import call_command

from apps.agents import services
from apps.agents.models import CertificateAuthority
from apps.agents.pki import certificate_hosts
from apps.audit.models import PlatformRecord
from apps.core import clock
from tests.agents.csr import make_csr, make_key
from tests.agents.factories import ACTOR, AT, issue_token, make_agent

pytestmark = pytest.mark.django_db


def write(folder: Path, *hosts: str, at=AT) -> services.ListenerFiles:
    return services.write_listener_certificate(
        folder=folder, hosts=hosts or ["127.0.0.1"], actor=ACTOR, at=at
    )


class TestListenerFiles:
    def test_the_key_is_for_its_owner_only(self, tmp_path):
        files = write(tmp_path / "tls")

        assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
        assert stat.S_IMODE(files.key.parent.stat().st_mode) == 0o700
        chain = x509.load_pem_x509_certificates(files.certificate.read_bytes())
        assert len(chain) == 2
        chain[0].verify_directly_issued_by(chain[1])
        assert files.ca.read_text() == services.authority_certificate(at=AT)

    def test_a_valid_certificate_is_not_replaced(self, tmp_path):
        before = write(tmp_path, "127.0.0.1", "::1", "ingest.example")
        content = before.certificate.read_bytes()

        again = write(tmp_path, "ingest.example", "0:0:0:0:0:0:0:1", "127.0.0.1")

        assert (again.written, again.certificate.read_bytes()) == (False, content)
        assert PlatformRecord.objects.filter(action="ingest.certificate_issued").count() == 1

    @pytest.mark.parametrize("reason", ["hosts", "age", "key", "junk", "gone", "authority"])
    def test_an_invalid_certificate_is_replaced(self, tmp_path, reason):
        files = write(tmp_path)
        at, hosts = AT, ["127.0.0.1"]
        if reason == "hosts":
            hosts = ["127.40.0.1"]
        elif reason == "age":
            at = AT + timedelta(days=276)
        elif reason == "key":
            other = make_key()
            files.key.write_bytes(
                other.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        elif reason == "junk":
            files.certificate.write_text("junk")
        elif reason == "gone":
            files.key.unlink()
        else:
            # As after a restore from a dump of another installation.
            CertificateAuthority.objects.update(stage="retired")

        again = write(tmp_path, *hosts, at=at)

        assert again.written
        certificate = x509.load_pem_x509_certificate(again.certificate.read_bytes())
        assert certificate_hosts(certificate) == set(hosts)
        assert not write(tmp_path, *hosts, at=at).written

    def test_the_command_writes_once(self, tmp_path, capsys):
        for _ in range(2):
            call_command("ingest_certificate", "--out", str(tmp_path), "--host", "127.0.0.1")

        first, second = capsys.readouterr().out.splitlines()
        assert first.startswith("Wrote ")
        assert second.startswith("Unchanged: ")


class TestHandshake:
    def test_an_agent_and_the_listener_recognise_each_other(self, in_acme, tmp_path):
        at = clock.now()
        files = write(tmp_path, "127.0.0.1", at=at)
        agent = make_agent()
        key = make_key()
        issued = services.enroll_agent(token=issue_token(agent, at), csr_pem=make_csr(key), at=at)
        own = tmp_path / "agent.pem"
        own.write_bytes(
            issued.certificate_pem.encode()
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(files.certificate, files.key)
        server.load_verify_locations(files.ca)
        server.verify_mode = ssl.CERT_REQUIRED
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.load_verify_locations(cadata=issued.ca_pem)
        client.verify_flags |= ssl.VERIFY_X509_STRICT
        client.load_cert_chain(own)

        der = _handshake(server, client)

        identity = services.authenticate_certificate(der=der, at=clock.now())
        assert (identity.tenant_id, identity.agent_id) == (in_acme.id, agent.id)


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes:
    peer_certificates: list[bytes | None] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(300)

        def serve() -> None:
            raw, _ = listener.accept()
            with server.wrap_socket(raw, server_side=True) as wrapped:
                peer_certificates.append(wrapped.getpeercert(binary_form=True))
                wrapped.sendall(b"x")

        thread = threading.Thread(target=serve)
        thread.start()
        with (
            socket.create_connection(listener.getsockname(), timeout=300) as raw,
            client.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped,
        ):
            assert wrapped.recv(1) == b"x"
        thread.join(timeout=300)
    assert peer_certificates[0]
    return peer_certificates[0]
