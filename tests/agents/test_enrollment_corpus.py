"""A1: hostile enrollment requests over HTTP: no certificate, no 500, and the valid token still works."""

import hashlib
import json
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from django.db import connection
from django.test import Client

from agent.protocol.tokens import parse_token
from apps.agents import services
from apps.agents.models import AgentCertificate
from apps.agents.pki import identity_uri
from apps.core import clock
from apps.ingest import limits
from apps.tenancy import acting_in
from tests.agents.csr import forged_csr, greedy_extensions, make_csr, make_key
from tests.agents.factories import ACTOR, issue_token, make_agent

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/ingest/v1/enroll"
#: Name of a manipulation -> the manipulated token.
TOKENS: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "blanks": lambda _: " \t\n",
    "half of it": lambda text: text[: len(text) // 2],
    "without its last letter": lambda text: text[:-1],
    "without its first letter": lambda text: text[1:],
    "one letter more": lambda text: text + "A",
    "in upper case": str.upper,
    "backwards": lambda text: text[::-1],
    "its prefix alone": lambda _: "ispvm1.",
    "another version": lambda text: text.replace("ispvm1.", "ispvm2."),
    "twice": lambda text: text + text,
    "its hash": lambda text: hashlib.sha256(_secret(text).encode()).hexdigest(),
    "another secret": lambda text: _with(
        text, lambda s: s[:-3] + ("AAA" if s[-3:] != "AAA" else "BBB")
    ),
    "a short secret": lambda text: _with(text, lambda s: s[:-1]),
    "a long secret": lambda text: _with(text, lambda s: s + "=" * 500),
    "no secret": lambda text: _with(text, lambda s: s.partition(".")[0] + "."),
    "another tenant's id": lambda text: _with(
        text, lambda s: f"{uuid4().hex}.{s.partition('.')[2]}"
    ),
    "a guessed secret": lambda text: _with(text, lambda s: s.partition(".")[0] + "." + "A" * 43),
    "SQL": lambda text: _with(text, lambda s: s + "' OR '1'='1"),
    "a NUL": lambda text: _with(text, lambda s: s + "\0"),
    "a lone surrogate": lambda _: "\ud800",
    "a right-to-left mark": lambda text: "\u202e" + text,
    "a megabyte": lambda _: "x" * 200_000,
    "a path": lambda _: "../../etc/passwd",
}
ODD_TYPES = [None, 1, [], {}, True, ["a"], {"token": "x"}, 1.5]


def _secret(text: str) -> str:
    return parse_token(text).secret


def _with(text: str, change: Callable[[str], str]) -> str:
    token = parse_token(text)
    return replace(token, secret=change(token.secret)).text()


def _cut(text: str) -> str:
    lines = text.splitlines()
    return "\n".join([*lines[:2], *lines[-1:]]) + "\n"


#: Name of a request -> the request and its error code.
REQUESTS: dict[str, tuple[Callable[[], str], str]] = {
    "nothing": (lambda: "", "csr_unreadable"),
    "junk": (lambda: "junk", "csr_unreadable"),
    "an empty envelope": (
        lambda: "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n",
        "csr_unreadable",
    ),
    "cut short": (lambda: _cut(make_csr()), "csr_unreadable"),
    "a certificate": (lambda: make_csr().replace(" REQUEST", ""), "csr_unreadable"),
    "RSA 1024": (lambda: make_csr(make_key("rsa1024")), "csr_weak_key"),
    "P-192": (lambda: make_csr(make_key("p192")), "csr_weak_key"),
    "P-521": (lambda: make_csr(make_key("p521")), "csr_weak_key"),
    "secp256k1": (lambda: make_csr(make_key("secp256k1")), "csr_weak_key"),
    "Ed448": (lambda: make_csr(make_key("ed448")), "csr_weak_key"),
    "DSA": (lambda: make_csr(make_key("dsa2048")), "csr_weak_key"),
    "somebody else's key": (forged_csr, "csr_bad_signature"),
    "100 kB": (lambda: make_csr(padding=100_000), "csr_too_large"),
    "NULs": (lambda: "\0" * 1000, "csr_unreadable"),
    "another alphabet": (lambda: "ﬀ" * 1000, "csr_unreadable"),
    "a lone surrogate": (lambda: "\ud800", "csr_unreadable"),
}

#: Name of a malformed body -> the body.
BODIES: dict[str, Callable[[dict[str, str]], bytes]] = {
    "no JSON": lambda _: b"enroll me",
    "cut short": lambda good: json.dumps(good).encode()[:-2],
    "a list": lambda good: json.dumps([good]).encode(),
    "null": lambda _: b"null",
    "nested without end": lambda _: b"[" * 100_000,
    "not UTF-8": lambda good: json.dumps(good).encode("utf-16"),
    "squeezed": lambda good: zlib.compress(json.dumps(good).encode()),
    "without a token": lambda good: json.dumps({"csr_pem": good["csr_pem"]}).encode(),
    "without a request": lambda good: json.dumps({"token": good["token"]}).encode(),
}


@pytest.fixture(autouse=True)
def _ingest(settings, monkeypatch):
    settings.ROOT_URLCONF = "ispvm.ingest_urls"
    settings.MIDDLEWARE = []
    monkeypatch.setattr(limits, "ENROLLMENTS", limits.Rate(1000, 10_000))


@pytest.fixture
def token(acme) -> str:
    with acting_in(acme):
        return issue_token(make_agent(), clock.now())


def enroll(token: object, csr: object, **more: object) -> tuple[int, str]:
    body = json.dumps({"token": token, "csr_pem": csr, **more}).encode("utf-8", "surrogatepass")
    answer = Client().post(PATH, body, "application/json")
    body = answer.json()
    return answer.status_code, body.get("code", "")


def test_no_hostile_token_or_request_gets_a_certificate(acme, globex, token, record_property):
    good = make_csr()
    cases = 0
    for name, make in TOKENS.items():
        status, code = enroll(make(token), good)
        assert (status, code) == (403, "token_refused") or status == 400, name
        cases += 1
    with acting_in(globex):
        foreign = issue_token(make_agent(), clock.now())
    moved = _with(token, lambda _: f"{acme.id.hex}.{_secret(foreign).partition('.')[2]}")
    assert enroll(moved, good) == (403, "token_refused")
    cases += 1
    for odd in ODD_TYPES:
        assert enroll(odd, good)[0] == 400
        assert enroll(token, odd)[0] == 400
        cases += 2
    for name, (write, code) in REQUESTS.items():
        status, actual = enroll(token, write())
        assert status in {400, 413}, name
        assert actual in {code, "bad_text", "bad_json", "invalid"} or status == 413, (name, actual)
        cases += 1
    for name, spoil in BODIES.items():
        body = spoil({"token": token, "csr_pem": good})
        assert Client().post(PATH, body, "application/json").status_code == 400, name
        cases += 1
    assert not AgentCertificate.objects.exists()

    assert enroll(token, good)[0] == 200, "a refusal must leave the token usable"
    assert enroll(token, make_csr()) == (403, "token_refused")
    cases += 2
    assert AgentCertificate.objects.count() == 1
    record_property("bar", f"A1: {cases} hostile enrollments over HTTP: 0 certificates, 0 errors")
    assert cases >= 60


@pytest.mark.parametrize("minutes", [10, 11, 60 * 24])
def test_a_token_expires(acme, minutes):
    with acting_in(acme):
        old = issue_token(make_agent(), clock.now() - timedelta(minutes=minutes))

    assert enroll(old, make_csr()) == (403, "token_refused")


def test_requested_extensions_are_not_granted(acme, token):
    csr = make_csr(name="admin", extensions=greedy_extensions(identity_uri(acme.id, uuid4())))
    body = {"token": token, "csr_pem": csr}

    answer = Client().post(PATH, body, "application/json").json()

    certificate = x509.load_pem_x509_certificate(answer["certificate_pem"].encode())
    get_extension = certificate.extensions.get_extension_for_class
    assert not get_extension(x509.BasicConstraints).value.ca
    assert list(get_extension(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    names = get_extension(x509.SubjectAlternativeName).value
    uri = identity_uri(acme.id, answer["agent_id"])
    assert [name.value for name in names] == [uri]
    assert certificate.subject.rfc4514_string() == f"CN={answer['agent_id']}"
    assert services.authenticate_certificate(
        der=certificate.public_bytes(Encoding.DER), at=clock.now()
    )


def test_one_of_fifty_hosts_with_own_keys_enrolls(acme, token):
    barrier, answers = threading.Barrier(50), []
    requests = [make_csr() for _ in range(50)]

    def host(csr: str) -> None:
        barrier.wait(timeout=300)
        answers.append(enroll(token, csr))
        connection.close()

    threads = [threading.Thread(target=host, args=(csr,)) for csr in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)

    assert sorted(status for status, _ in answers) == [200] + [403] * 49
    assert AgentCertificate.objects.count() == 1


def test_attempts_are_limited_per_address(acme, token, monkeypatch):
    monkeypatch.setattr(limits, "ENROLLMENTS", limits.Rate(0.001, 5))
    source = f"192.0.2.{uuid4().bytes[0]}"
    body = json.dumps({"token": "guess", "csr_pem": make_csr()})

    def attempt(address: str) -> int:
        return Client(REMOTE_ADDR=address).post(PATH, body, "application/json").status_code

    codes = [attempt(source) for _ in range(8)]

    assert codes == [403] * 5 + [429] * 3
    assert attempt(f"198.51.100.{uuid4().bytes[0]}") == 403


def test_replaced_and_revoked_tokens_are_refused(acme):
    with acting_in(acme):
        agent = make_agent()
        replaced, revoked = issue_token(agent, clock.now()), issue_token(agent, clock.now())
        assert enroll(replaced, make_csr()) == (403, "token_refused")
        services.revoke_agent(agent=agent, actor=ACTOR, at=clock.now())

    assert enroll(revoked, make_csr()) == (403, "token_refused")
