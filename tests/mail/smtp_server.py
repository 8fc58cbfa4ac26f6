"""A real SMTP server on loopback: STARTTLS, AUTH, configurable replies."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from socket import socket
from typing import Any
from weakref import WeakSet

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "visualmonitor", "of-the-mail-server"
FROM = "ISP Monitor <monitor@isp.example>"


@dataclass
class MailServer:
    """Received messages and configured replies: each of ``answers`` is sent once, then it accepts."""

    port: int = 0
    received: list[EmailMessage] = field(default_factory=list)
    #: (step, reply): "RCPT" or "DATA" and the line that the server answers.
    answers: list[tuple[str, str]] = field(default_factory=list)
    logins: list[tuple[str, bool]] = field(default_factory=list)

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802
        if answer := self._answer("RCPT"):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802
        if answer := self._answer("DATA"):
            return answer
        mail = message_from_bytes(envelope.content, policy=policy.default)
        mail["X-Over-TLS"] = str(session.ssl is not None)
        mail["X-Envelope-To"] = ",".join(envelope.rcpt_tos)
        self.received.append(mail)
        return "250 OK"

    def authenticate(self, server, session, envelope, mechanism, data) -> AuthResult:
        assert isinstance(data, LoginPassword)
        is_right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        self.logins.append((data.login.decode(), session.ssl is not None))
        return AuthResult(success=is_right, handled=False)

    def _answer(self, step: str) -> str:
        if self.answers and self.answers[0][0] == step:
            return self.answers.pop(0)[1]
        return ""

    def text_of(self, number: int = -1) -> str:
        part = self.received[number].get_body(("plain",))
        assert part is not None
        return part.get_content()

    def html_of(self, number: int = -1) -> str:
        part = self.received[number].get_body(("html",))
        assert part is not None
        return part.get_content()

    def link(self, number: int = -1) -> str:
        (line,) = [w for w in self.text_of(number).split() if "?key=" in w]
        return line


class _Controller(Controller):
    """The controller stops its loop at once: connections that clients left open are ended first."""

    sessions: WeakSet[SMTP]

    def factory(self) -> Any:
        session = SMTP(self.handler, **self.SMTP_kwargs)
        self.sessions.add(session)
        return session

    def stop(self, no_assert: bool = False) -> None:
        asyncio.run_coroutine_threadsafe(self._abort(), self.loop).result(60)
        super().stop(no_assert)

    async def _abort(self) -> None:
        for session in list(self.sessions):
            with suppress(AttributeError):  # one that has ended by itself has no transport
                session.transport.abort()
        await asyncio.sleep(0)


@contextmanager
def mail_server(folder: Path, settings: Any) -> Iterator[MailServer]:
    """A server with its own CA, and the settings to reach it."""
    certificate, key = make_certificate(folder)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    server = MailServer(port=_free_port())
    controller = _Controller(
        server,
        hostname="127.0.0.1",
        port=server.port,
        tls_context=tls,
        require_starttls=True,
        auth_required=True,
        authenticator=server.authenticate,
    )
    controller.sessions = WeakSet()
    controller.start()
    settings.ISPVM_MAIL_CONFIGURED = True
    settings.EMAIL_BACKEND = "apps.mail.backend.SmtpBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = USER, PASSWORD
    settings.EMAIL_USE_TLS, settings.EMAIL_USE_SSL = True, False
    settings.EMAIL_TIMEOUT = 5
    settings.ISPVM_SMTP_CA_FILE = str(certificate)
    settings.ISPVM_MAIL_FROM = FROM
    try:
        yield server
    finally:
        controller.stop()


def _free_port() -> int:
    with socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """For 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.isp.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3650))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "mail.pem", folder / "mail.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
