"""A4: no header authenticates a client as an agent, on the listener's port or behind the shipped nginx."""

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest

from agent.__main__ import main
from agent.errors import RequestRefused
from agent.protocol.tokens import parse_token
from agent.state import Enrollment, StateDir
from agent.transport.certificate import Renewal
from agent.transport.ingest_client import IngestClient
from agent.transport.tls import (
    identity_pem,
    make_csr,
    make_key,
    own_certificate,
    unverified_context,
)
from apps.agents import pki
from apps.agents import services as agents
from apps.agents.models import Agent
from apps.authorization.actors import Actor
from apps.core import clock
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from tests.agent.test_transport import RNG
from tests.ingest.listener import (
    NGINX,
    behind_nginx,
    gunicorn,
    listening,
    signer_thread,
    write_files,
)
from tests.slots import free_port
from tests.supervisor.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]
needs_nginx = pytest.mark.skipif(NGINX is None, reason="needs an nginx on this machine")

ACTOR = Actor.system("test")
NAME = "X-ISPVM-Client-Certificate"
#: Header lines; {pem} is the escaped certificate of a real agent.
SPELLINGS = {
    "as nginx writes it": f"{NAME}: {{pem}}",
    "in lower case": f"{NAME.lower()}: {{pem}}",
    "in upper case": f"{NAME.upper()}: {{pem}}",
    "in alternating case": "x-IsPvM-cLiEnT-cErTiFiCaTe: {pem}",
    "with underscores": f"{NAME.replace('-', '_')}: {{pem}}",
    "with one underscore": "X-ISPVM-Client_Certificate: {pem}",
    "with hyphens and underscores": "X_ISPVM-Client_Certificate: {pem}",
    "twice": f"{NAME}: {{pem}}\r\n{NAME}: {{pem}}",
    "twice, spelled in two ways": f"{NAME.replace('-', '_')}: {{pem}}\r\n{NAME}: {{pem}}",
    "as WSGI would name it": "HTTP_X_ISPVM_CLIENT_CERTIFICATE: {pem}",
    "as other proxies name it": "X-SSL-Client-Cert: {pem}\r\nSSL-Client-Cert: {pem}",
    "as a mesh names it": 'X-Forwarded-Client-Cert: Cert="{pem}"\r\nX-SSL-Client-Verify: SUCCESS',
    "named as hop by hop": f"{NAME}: {{pem}}\r\nConnection: {NAME}",
}
#: Malformed header lines, which are refused by the parser.
MALFORMED = {
    "before a blank": f"{NAME} : {{pem}}",
    "on a folded line": f"X-Other: a\r\n {NAME}: {{pem}}",
    "after a NUL": f"X-Other\0{NAME}: {{pem}}",
}


@dataclass
class Member:
    agent: Agent
    key: object
    certificate_pem: str

    def write(self, folder: Path, url: str) -> StateDir:
        state = StateDir(folder)
        state.create()
        state.write(state.identity.name, identity_pem(self.key, self.certificate_pem))
        state.write(state.ca_bundle.name, agents.authority_certificate(at=clock.now()).encode())
        state.save_enrollment(Enrollment(url, str(self.agent.id), str(self.agent.tenant_id)))
        return state


def enroll_member(tenant: Tenant, name: str, *, days_ago: int = 0) -> Member:
    at, key = clock.now() - timedelta(days=days_ago), make_key()
    with acting_in(tenant):
        agent = agents.create_agent(name=name, actor=ACTOR, at=at)
        token = agents.issue_enroll_token(agent=agent, actor=ACTOR, at=at).text
    issued = agents.enroll_agent(token=token, csr_pem=make_csr(key), at=at)
    return Member(agent, key, issued.certificate_pem)


def request_status(port: int, head: str, context: ssl.SSLContext | None) -> tuple[int, str]:
    """Status and code of the answer to ``GET config`` with these header lines."""
    lines = (
        f"GET /ingest/v1/config HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=300) as raw:
        connection = context.wrap_socket(raw) if context else raw
        connection.sendall(lines.encode("latin-1"))
        answer = HTTPResponse(connection)
        answer.begin()
        code = re.search(rb'"code": ?"(\w+)"', answer.read())
        connection.close()
    return answer.status, code[1].decode() if code else ""


def assert_forged_headers_are_refused(port: int, pem: str, context: ssl.SSLContext | None) -> int:
    for spelling, lines in SPELLINGS.items():
        response = request_status(port, lines.replace("{pem}", pem), context)
        assert response == (401, "certificate_missing"), spelling
    for spelling, lines in MALFORMED.items():
        status, _ = request_status(port, lines.replace("{pem}", pem), context)
        assert status in {400, 401}, spelling
    return len(SPELLINGS) + len(MALFORMED)


def test_headers_do_not_authenticate_on_a_port(acme, tmp_path, record_property):
    """The listener for ports, and the one for proxies bound to a port by mistake."""
    pem, port, bare = quote(enroll_member(acme, "pop-1").certificate_pem), free_port(), free_port()
    with listening(write_files(tmp_path / "tls"), port):
        cases = assert_forged_headers_are_refused(port, pem, unverified_context())
    with gunicorn("gunicorn_ingest_proxied", "--workers", "1", "--bind", f"127.0.0.1:{bare}"):
        eventually(lambda: is_up(bare))
        cases += assert_forged_headers_are_refused(bare, pem, None)

    record_property("bar", f"A4: {cases} forged headers directly to a port, none accepted")


def is_up(port: int) -> bool:
    try:
        return request_status(port, "X: y", None)[0] == 401
    except (OSError, HTTPException):
        return False


@needs_nginx
class TestBehindNginx:
    @pytest.fixture
    def port(self, acme, tmp_path) -> Iterator[int]:
        with signer_thread(), behind_nginx(tmp_path) as port:
            yield port

    def test_only_the_presented_certificate_authenticates(
        self, acme, port, tmp_path, record_property
    ):
        victim, attacker = enroll_member(acme, "victim"), enroll_member(acme, "attacker")
        pem = quote(victim.certificate_pem)
        cases = assert_forged_headers_are_refused(port, pem, unverified_context())
        own = unverified_context()
        own.load_cert_chain(attacker.write(tmp_path / "attacker", "https://x").identity)
        for spelling, lines in SPELLINGS.items():
            status, _ = request_status(port, lines.replace("{pem}", pem), own)
            assert status == 200, spelling
        with acting_in(acme):
            # The victim sent no request; the attacker was authenticated as itself.
            heartbeats = dict(Agent.objects.values_list("name", "last_heartbeat_at"))
        assert heartbeats["victim"] is None
        cases += self._other_certificates(port, tmp_path)
        self._check_lifecycle(acme, port, tmp_path, attacker)
        self._check_limit_per_address(port)
        assert path_status(port, "/metrics") == 404

        record_property("bar", f"A4: {cases} forgeries through nginx, none accepted")

    def _other_certificates(self, port: int, folder: Path) -> int:
        """A certificate with valid names, signed by another authority."""
        authority = pki.create_authority(name="ISPVisualMonitor agents CA", at=clock.now())
        key = make_key()
        certificate = pki.issue_agent_certificate(
            authority,
            public_key=key.public_key(),
            tenant_id=uuid4(),
            agent_id=uuid4(),
            at=clock.now(),
        )
        path = folder / "forged.pem"
        path.write_bytes(identity_pem(key, pki.to_pem(certificate)))
        context = unverified_context()
        context.load_cert_chain(path)
        assert request_status(port, "X: y", context) == (403, "certificate_unknown")
        path.write_bytes((folder / "tls/server-key.pem").read_bytes())
        with path.open("ab") as out:
            out.write((folder / "tls/server.pem").read_bytes())
        context = unverified_context()
        context.load_cert_chain(path)
        assert request_status(port, "X: y", context) == (403, "certificate_wrong_purpose")
        return 2

    def _check_lifecycle(self, acme: Tenant, port: int, folder: Path, other: Member) -> None:
        url = f"https://127.0.0.1:{port}"
        late = enroll_member(acme, "late", days_ago=40)
        state = late.write(folder / "late", url)
        client = IngestClient(state, "")
        with pytest.raises(RequestRefused) as caught:
            client.config(None)
        assert caught.value.code == "certificate_expired"
        assert Renewal(state, client, RNG).renew_if_due(clock.now())
        assert own_certificate(state.identity).not_valid_after_utc > clock.now()
        assert client.config(None)["agent"]["name"] == "late"
        beat = {"sent_at": clock.now().isoformat(), "boot_id": str(uuid4())}
        assert client.heartbeat(beat)["config_version"]
        with acting_in(acme):
            agents.revoke_agent(agent=late.agent, actor=ACTOR, at=clock.now())

        def refused() -> bool:
            try:
                client.heartbeat(beat)
            except RequestRefused as refusal:
                return refusal.code == "certificate_revoked"
            return False

        eventually(refused)
        client.http().close()
        with acting_in(acme):
            token = agents.issue_enroll_token(agent=other.agent, actor=ACTOR, at=clock.now()).text
        with_url = replace_url(token, url)
        assert main(["enroll", "--token", with_url, "--state-dir", str(folder / "new")]) == 0
        client = IngestClient(StateDir(folder / "new"), "")
        assert client.config(None)["agent"]["name"] == "attacker"
        client.http().close()

    def _check_limit_per_address(self, port: int) -> None:
        """The limit of enrollments applies to the connecting address, not to the one in a header."""
        limited_address = f"127.{uuid4().bytes[0]}.{uuid4().bytes[1]}.9"
        codes = [enroll_junk(port, limited_address, spoof=f"192.0.2.{n}") for n in range(75)]
        assert codes[0] == 400
        assert codes[-1] == 429
        assert enroll_junk(port, "127.0.0.1", spoof=limited_address) == 400


def enroll_junk(port: int, source: str, *, spoof: str) -> int:
    body = b'{"token": "x", "csr_pem": "x"}'
    head = (
        "POST /ingest/v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"X-ISPVM-Client-Address: {spoof}\r\nX-Forwarded-For: {spoof}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0)) as raw,
        unverified_context().wrap_socket(raw) as connection,
    ):
        connection.sendall(head.encode() + body)
        return int(connection.recv(65536).split()[1])


def path_status(port: int, path: str) -> int:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=300) as raw,
        unverified_context().wrap_socket(raw) as connection,
    ):
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return int(connection.recv(65536).split()[1])


def replace_url(token: str, url: str) -> str:
    """The same token for a server at another address."""
    return replace(parse_token(token), url=url).text()
