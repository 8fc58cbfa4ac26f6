"""The RouterOS API over TLS: a router signs its own certificate."""

import datetime as dt
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import MonitoredDevice
from agent.diagnostics.connection import try_connection
from agent.protocol.registry import Tier
from tests.agent.fake_router import MENUS, FakeRouter, device_config, wait_for

KEY = X25519PrivateKey.generate()


def make_certificate(path, name: str = "router") -> str:
    """A self-signed one with its key in one file; returns its SHA-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    # The clock of a router without NTP starts in 1970.
    created_at = dt.datetime(1970, 1, 2, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(created_at)
        .not_valid_after(created_at + dt.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return certificate.fingerprint(hashes.SHA256()).hex()


@pytest.fixture
def certificate(tmp_path):
    path = tmp_path / "router.pem"
    make_certificate(path)
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
    instance = TlsRouter(dict(MENUS))
    yield instance
    instance.close()


def watch(router: FakeRouter) -> MonitoredDevice:
    config = device_config(KEY, router.port)
    config["tls"] = True
    return MonitoredDevice(config, KEY, "")


def test_polls_over_tls(router):
    device = watch(router)
    result = device.poll([Tier.FAST])
    device.close()

    assert device.message == "ok"
    assert len(result.samples) > 20


def test_a_handshake_that_hangs_costs_a_bounded_time():
    router = FakeRouter()
    router.on_connect = lambda _connection: wait_for(5, router)
    device = watch(router)
    device.poll([Tier.FAST])
    router.close()

    assert device.message == "The router did not answer in time."


def test_a_router_without_tls_fails_a_tls_config():
    router = FakeRouter()
    router.on_connect = lambda connection: connection.sendall(b"\x05!done\x00")
    device = watch(router)
    device.poll([Tier.FAST])
    router.close()

    assert "failed" in device.message


def logins_of(router: FakeRouter) -> list[list[str]]:
    return [sentence for sentence in router.commands if sentence[0] == "/login"]


class TestPinning:
    @pytest.fixture
    def certificates(self, tmp_path) -> list[str]:
        return [make_certificate(tmp_path / f"{n}.pem", f"router {n}") for n in (1, 2)]

    @pytest.fixture
    def serve(self, tmp_path, certificates):
        """The router with one of the certificates, on the port of the previous router."""
        opened: list[TlsRouter] = []

        def start(number: int) -> TlsRouter:
            port = 0
            if opened:
                port = opened[-1].port
                opened[-1].close()
            TlsRouter.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            TlsRouter.context.load_cert_chain(tmp_path / f"{number}.pem")
            opened.append(TlsRouter(dict(MENUS), port=port))
            return opened[-1]

        yield start
        opened[-1].close()

    def watch(self, router: FakeRouter, **fields) -> MonitoredDevice:
        config = {
            **device_config(KEY, router.port, command_timeout=2),
            "tls": True,
            "login_held": False,
        }
        complete = {**config, "tls_certificate": None, **fields}
        return MonitoredDevice(complete, KEY, "")

    def values(self, result, metric: str) -> list:
        return [sample.value for sample in result.samples if sample.metric == metric]

    def test_the_first_accepted_one_is_reported(self, serve, certificates):
        device = self.watch(serve(1))
        result = device.poll([Tier.FAST])
        device.close()

        (item,) = result.patch["devices"]
        assert item["certificate"] == certificates[0]

    def test_one_that_refused_the_login_is_not(self, serve):
        router = serve(1)
        config = device_config(KEY, router.port, command_timeout=2, password="wrong")
        complete = {**config, "tls": True, "tls_certificate": None, "login_held": False}
        device = MonitoredDevice(complete, KEY, "")
        result = device.poll([Tier.FAST])

        assert "refused the login" in device.message
        assert not result.patch

    def test_another_one_gets_no_login_and_is_an_event(self, serve, certificates):
        device = self.watch(serve(1), tls_certificate=certificates[0])
        device.poll([Tier.FAST])
        device.close()
        other = serve(2)
        results = [device.poll([Tier.FAST]) for _ in range(3)]

        assert logins_of(other) == []
        assert certificates[1] in device.message
        events = [event for result in results for event in result.events]
        assert [event.event_type for event in events].count("device.certificate.changed") == 1
        changed = next(e for e in events if e.event_type == "device.certificate.changed")
        assert changed.payload == {"pinned": certificates[0], "presented": certificates[1]}
        assert results[0].patch == {
            "devices": [{"id": str(device.id), "presented_certificate": certificates[1]}]
        }
        assert all(self.values(result, "device.certificate.ok") == [0.0] for result in results)
        assert self.values(results[0], "device.api.up") == [], "the API was not polled"

    def test_nor_before_the_server_has_pinned_the_first(self, serve, certificates):
        device = self.watch(serve(1))
        device.poll([Tier.FAST])
        device.close()
        other = serve(2)
        device.poll([Tier.FAST])

        assert logins_of(other) == []

    def test_once_accepted_on_the_server_it_is_polled_again(self, serve, certificates):
        device = self.watch(serve(1), tls_certificate=certificates[0])
        device.poll([Tier.FAST])
        device.close()
        router = serve(2)
        device.poll([Tier.FAST])
        device.update_config({**device.config, "tls_certificate": certificates[1]})
        result = device.poll([Tier.FAST])
        device.close()

        assert len(logins_of(router)) == 1
        assert device.message == "ok"
        assert self.values(result, "device.certificate.ok") == [1.0]
        assert result.patch["devices"][0]["certificate"] == certificates[1]

    def test_a_pin_that_changes_ends_the_session(self, serve, certificates):
        router = serve(1)
        device = self.watch(router, tls_certificate=certificates[0])
        device.poll([Tier.FAST])
        device.update_config({**device.config, "tls_certificate": certificates[1]})
        device.poll([Tier.FAST])

        assert len(logins_of(router)) == 1
        assert "another TLS certificate" in device.message

    def test_another_address_may_have_another(self, serve, certificates):
        device = self.watch(serve(1))
        device.poll([Tier.FAST])
        device.update_config({**device.config, "port": 1})
        router = serve(2)
        device.update_config({**device.config, "port": router.port})
        device.poll([Tier.FAST])
        device.close()

        assert len(logins_of(router)) == 1

    def test_an_older_server_pins_nothing(self, serve):
        device = self.watch(serve(1))
        for name in ("tls_certificate", "login_held"):
            del device.config[name]
        result = device.poll([Tier.FAST])
        device.close()
        router = serve(2)
        device.poll([Tier.FAST])
        device.close()

        assert len(logins_of(router)) == 1
        assert self.values(result, "device.certificate.ok") == []
        assert self.values(result, "device.login.held") == []

    def test_a_router_without_a_certificate_gets_no_login(self):
        """Anonymous key exchange has no certificate: the handshake fails, no login is sent."""
        TlsRouter.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        TlsRouter.context.maximum_version = ssl.TLSVersion.TLSv1_2
        TlsRouter.context.set_ciphers("ADH:@SECLEVEL=0")
        router = TlsRouter(dict(MENUS))
        device = self.watch(router)
        device.poll([Tier.FAST])
        router.close()

        assert router.commands == []
        assert "failed" in device.message

    def test_a_connection_test_checks_the_pin_too(self, serve, certificates):
        router = serve(2)
        device = {
            **device_config(KEY, router.port), "tls": True, "tls_certificate": certificates[0],
        }  # fmt: skip
        device["credentials"] = [{**device["credential"], "credential_set": ""}]
        job = {"id": "1", "timeout_s": 3, "device": device}

        result = try_connection(job, KEY)

        assert result["outcome"] == "tls_failed"
        assert certificates[1] in result["detail"]
        assert router.commands == []


class TestLoginHeld:
    def test_is_reported_and_sends_nothing(self):
        router = FakeRouter(dict(MENUS))
        config = {**device_config(KEY, router.port), "credential": None, "login_held": True}
        device = MonitoredDevice(config, KEY, "")
        first, second = device.poll([Tier.FAST]), device.poll([Tier.FAST])
        router.close()

        assert router.peers == []
        assert "awaits approval" in device.message
        assert [event.event_type for event in first.events] == ["monitoring.degraded"]
        assert second.events == ()
        samples = {sample.metric: sample.value for sample in second.samples}
        assert samples == {"device.login.held": 1.0}

    def test_ends_with_the_first_successful_poll(self):
        router = FakeRouter(dict(MENUS))
        config = device_config(KEY, router.port)
        held = {**config, "credential": None, "login_held": True}
        device = MonitoredDevice(held, KEY, "")
        device.poll([Tier.FAST])
        config["login_held"] = False
        device.update_config(config)
        result = device.poll([Tier.FAST])
        device.close()
        router.close()

        samples = {sample.metric: sample.value for sample in result.samples}
        assert samples["device.login.held"] == 0.0
        assert samples["device.api.up"] == 1.0
