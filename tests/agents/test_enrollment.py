import hashlib
import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from django.db import connection

from agent.protocol.tokens import TokenContent, parse_token
from apps.agents import services
from apps.agents.models import Agent, AgentCertificate, EnrollmentToken
from apps.agents.pki import identity_uri, read_agent_certificate
from apps.audit.models import PlatformRecord, Record
from apps.tenancy import acting_in
from tests.agents.csr import forged_csr, greedy_extensions, make_csr, make_key
from tests.agents.factories import (
    ACTOR,
    AT,
    der_of,
    enroll,
    issue_token,
    make_agent,
    sealing_key,
)

pytestmark = pytest.mark.django_db


def use(token: str, csr: str | None = None, at=AT, **fields) -> services.IssuedCertificate:
    return services.enroll_agent(token=token, csr_pem=csr or make_csr(), at=at, **fields)


class TestEnrollToken:
    def test_contains_url_and_pin_and_only_its_hash_is_stored(self, in_acme, settings):
        token = parse_token(issue_token(make_agent()))

        authority = x509.load_pem_x509_certificate(services.authority_certificate(at=AT).encode())
        assert token.url == settings.ISPVM_INGEST_URL
        assert token.ca_sha256 == authority.fingerprint(_sha256()).hex()
        row = EnrollmentToken.objects.get()
        proof = hashlib.sha256(token.secret.encode()).digest()
        assert bytes(row.digest) == hashlib.sha256(proof).digest()
        assert row.expires_at == AT + timedelta(minutes=10)
        assert token.secret not in str(list(Record.objects.values_list("detail", flat=True)))

    def test_a_new_token_invalidates_the_old_one(self, in_acme):
        agent = make_agent()
        old, new = issue_token(agent), issue_token(agent)

        with pytest.raises(services.TokenRefused):
            use(old)
        assert use(new).agent_id == agent.id


def _sha256():
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()


class TestEnrollAgent:
    def test_issues_a_certificate(self, in_acme):
        agent = make_agent()
        _, sealing = sealing_key()

        issued = use(
            issue_token(agent), agent_version="1.0", hostname="pop", sealing_public_key=sealing
        )

        agent.refresh_from_db()
        assert (issued.tenant_id, issued.agent_id) == (in_acme.id, agent.id)
        assert (agent.status, agent.enrolled_at, agent.hostname) == ("active", AT, "pop")
        assert len(bytes(agent.sealing_public_key)) == 32
        assert issued.ca_pem == services.authority_certificate(at=AT)
        identity = services.authenticate_certificate(der=der_of(issued), at=AT)
        assert (identity.tenant_id, identity.agent_id) == (in_acme.id, agent.id)
        assert Record.objects.filter(action="agent.enrolled", actor__kind="agent").exists()

    def test_the_secret_part_alone_works_too(self, in_acme):
        agent = make_agent()

        assert use(parse_token(issue_token(agent)).secret).agent_id == agent.id

    def test_requested_extensions_are_ignored(self, in_acme):
        agent = make_agent()
        csr = make_csr(name="root", extensions=greedy_extensions(identity_uri(uuid4(), uuid4())))

        issued = use(issue_token(agent), csr)

        read = read_agent_certificate(der_of(issued))
        assert (read.tenant_id, read.agent_id) == (in_acme.id, agent.id)

    @pytest.mark.parametrize(
        ("csr", "code"),
        [
            (make_csr(make_key("rsa1024")), "csr_weak_key"),
            (forged_csr(), "csr_bad_signature"),
            (make_csr(padding=1_000_000), "csr_too_large"),
            ("junk", "csr_unreadable"),
        ],
    )
    def test_a_refused_request_leaves_the_token_usable(self, in_acme, csr, code):
        token = issue_token(make_agent())

        with pytest.raises(services.CertificateRequestRefused) as caught:
            use(token, csr)

        assert caught.value.code == code
        assert use(token)

    def test_a_token_works_once(self, in_acme):
        token = issue_token(make_agent())
        use(token)

        with pytest.raises(services.TokenRefused):
            use(token)
        assert AgentCertificate.objects.count() == 1

    def test_a_token_expires_after_ten_minutes(self, in_acme):
        agent = make_agent()
        token = issue_token(agent)

        with pytest.raises(services.TokenRefused):
            use(token, at=AT + timedelta(minutes=10))
        assert use(token, at=AT + timedelta(minutes=9, seconds=59)).agent_id == agent.id

    def test_invalid_tokens_have_the_same_response(self, acme, globex):
        with acting_in(acme):
            text = issue_token(make_agent())
        whole = parse_token(text)
        secret = whole.secret
        moved = f"{globex.id.hex}.{secret.partition('.')[2]}"
        guesses = [
            "",
            ".",
            text[:-1],
            text[:40],
            secret[:-1],
            secret + "x",
            secret.upper(),
            moved,
            TokenContent(whole.url, whole.ca_sha256, moved).text(),
            f"{uuid4().hex}.{secret.partition('.')[2]}",
            f"{acme.id.hex}.",
            f"{acme.id.hex}.{'A' * 43}",
            f"{acme.id.hex}.\x00",
            f"{acme.id.hex}.\ud800",
            "ispvm1.",
            "ispvm1.!!!",
            "x" * 5000,
        ]

        answers = set()
        for guess in guesses:
            with pytest.raises(services.TokenRefused) as caught:
                use(guess)
            answers.add((caught.value.code, caught.value.message, str(caught.value.context)))

        assert len(answers) == 1
        assert not AgentCertificate.objects.exists()
        assert PlatformRecord.objects.filter(action="agent.enrollment_refused").count() == len(
            guesses
        )
        assert use(text)

    def test_a_suspended_tenants_token_is_refused(self, acme):
        with acting_in(acme):
            token = issue_token(make_agent())
        acme.is_active = False
        acme.save(update_fields=["is_active"])

        with pytest.raises(services.TokenRefused):
            use(token)

    def test_enrolling_again_revokes_the_old_certificates(self, in_acme):
        agent = make_agent()
        old = enroll(agent)
        new = enroll(agent)

        with pytest.raises(services.CertificateRefused) as caught:
            services.authenticate_certificate(der=der_of(old), at=AT)
        assert caught.value.code == "certificate_revoked"
        assert services.authenticate_certificate(der=der_of(new), at=AT)

    @pytest.mark.parametrize("key", ["", "no base64!", "AAAA"])
    def test_an_invalid_sealing_key_is_ignored(self, in_acme, key):
        agent = make_agent()

        enroll(agent, sealing_public_key=key)

        agent.refresh_from_db()
        assert agent.sealing_public_key is None

    def test_host_texts_are_truncated(self, in_acme):
        agent = make_agent()

        enroll(agent, hostname="h\x00\ud800" + "x" * 500, agent_version="v" * 500)

        agent.refresh_from_db()
        assert len(agent.version) == 50
        assert agent.hostname.startswith("h?x")
        assert len(agent.hostname) == 253


class TestRevokedAgents:
    def test_tokens_of_a_revoked_agent_are_refused(self, in_acme):
        agent = make_agent()
        token = issue_token(agent)
        services.revoke_agent(agent=agent, actor=ACTOR, at=AT)

        with pytest.raises(services.TokenRefused):
            use(token)
        with pytest.raises(services.AgentRevoked):
            issue_token(agent)

    def test_revoking_is_idempotent(self, in_acme):
        agent = make_agent()
        for _ in range(2):
            services.revoke_agent(agent=agent, actor=ACTOR, at=AT)

        assert Record.objects.filter(action="agent.revoked").count() == 1


@pytest.mark.django_db(transaction=True)
class TestRace:
    def test_one_of_fifty_concurrent_clients_gets_a_certificate(self, acme):
        with acting_in(acme):
            agent = make_agent()
            token = issue_token(agent)
        csr = make_csr()
        barrier = threading.Barrier(50)
        succeeded: list[UUID] = []
        refused_codes: list[str] = []
        errors: list[Exception] = []

        def client() -> None:
            try:
                barrier.wait(timeout=300)
                succeeded.append(use(token, csr).agent_id)
            except services.TokenRefused as refused:
                refused_codes.append(refused.code)
            except Exception as error:
                errors.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=client) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=300)

        assert errors == []
        assert (succeeded, len(refused_codes)) == ([agent.id], 49)
        assert AgentCertificate.objects.count() == 1
        with acting_in(acme):
            assert Agent.objects.get().status == "active"
            assert EnrollmentToken.objects.get().used_at == AT
