"""The RouterOS API over TLS: a router signs its own certificate."""

import datetime as dt
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import WatchedDevice
from agent.protocol.registry import Tier
from tests.agent.fake_router import MENUS, FakeRouter, device_config, wait_for

KEY = X25519PrivateKey.generate()


@pytest.fixture
def certificate(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "router")])
    # A router without NTP believes it is 1970.
    born = dt.datetime(1970, 1, 2, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(born)
        .not_valid_after(born + dt.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "router.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class TlsRouter(FakeRouter):
    """The fake router behind TLS."""

    context: ssl.SSLContext

    def _serve(self, connection: socket.socket) -> None:
        try:
            wrapped = self.context.wrap_socket(connection, server_side=True)
        except OSError:
            return
        super()._serve(wrapped)


@pytest.fixture
def router(certificate):
    TlsRouter.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    TlsRouter.context.load_cert_chain(certificate)
    made = TlsRouter(dict(MENUS))
    yield made
    made.close()


def watch(router: FakeRouter) -> WatchedDevice:
    config = device_config(KEY, router.port)
    config["tls"] = True
    return WatchedDevice(config, KEY, "")


def test_polls_over_tls(router):
    device = watch(router)
    findings = device.poll([Tier.FAST])
    device.close()

    assert device.said == "ok"
    assert len(findings.samples) > 20


def test_a_handshake_that_hangs_costs_one_bounded_time():
    router = FakeRouter()
    router.on_connect = lambda _connection: wait_for(5, router)
    device = watch(router)
    device.poll([Tier.FAST])
    router.close()

    assert device.said == "The router did not answer in time."


def test_a_plain_router_behind_a_tls_config_is_said():
    router = FakeRouter()
    router.on_connect = lambda connection: connection.sendall(b"\x05!done\x00")
    device = watch(router)
    device.poll([Tier.FAST])
    router.close()

    assert "failed" in device.said
