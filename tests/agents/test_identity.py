from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents import identity as identity_module
from apps.agents import pki, services
from apps.agents.models import AgentCertificate
from tests.agents.csr import make_csr, make_key
from tests.agents.factories import ACTOR, AT, der_of, enroll, make_agent

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _fresh_cache():
    identity_module.clear_certificate_cache()
    yield
    identity_module.clear_certificate_cache()


def code_of(der: bytes, at: datetime = AT, **options) -> str:
    try:
        services.authenticate_certificate(der=der, at=at, **options)
    except (services.CertificateRefused, services.CertificateMissing) as refused:
        return refused.code
    return "accepted"


class TestTime:
    @pytest.mark.parametrize(
        ("shift", "working", "renewing"),
        [
            (timedelta(days=-3650), "certificate_not_yet_valid", "certificate_not_yet_valid"),
            (timedelta(hours=-1), "certificate_not_yet_valid", "certificate_not_yet_valid"),
            (timedelta(seconds=-61), "accepted", "accepted"),
            (timedelta(days=30) - SECOND, "accepted", "accepted"),
            (timedelta(days=30), "certificate_expired", "accepted"),
            (timedelta(days=60) - SECOND, "certificate_expired", "accepted"),
            (timedelta(days=60), "certificate_expired", "certificate_expired"),
            (timedelta(days=3650), "certificate_expired", "certificate_expired"),
        ],
    )
    def test_an_expired_certificate_may_be_renewed_for_thirty_days_and_nothing_else(
        self, in_acme, shift, working, renewing
    ):
        der = der_of(enroll(make_agent()))

        assert code_of(der, AT + shift) == working
        assert code_of(der, AT + shift, for_renewal=True) == renewing

    def test_works_after_2038(self, in_acme):
        at = datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC)
        authority = pki.create_authority(name="late", at=at)
        certificate = pki.issue_agent_certificate(
            authority,
            public_key=make_key().public_key(),
            tenant_id=uuid4(),
            agent_id=uuid4(),
            at=at,
        )

        assert certificate.not_valid_after_utc == at + timedelta(days=30)


class TestUnknownCertificates:
    def test_empty_and_invalid_data_is_missing(self, db):
        assert code_of(b"") == "certificate_missing"
        assert code_of(b"junk") == "certificate_missing"

    def test_a_certificate_that_was_not_issued_is_unknown(self, in_acme):
        agent = make_agent()
        unregistered = pki.issue_agent_certificate(
            services.ensure_authority(at=AT),
            public_key=make_key().public_key(),
            tenant_id=in_acme.id,
            agent_id=agent.id,
            at=AT,
        )

        der = unregistered.public_bytes(serialization.Encoding.DER)
        assert code_of(der) == "certificate_unknown"

    def test_a_forged_certificate_with_a_known_serial_is_unknown(self, in_acme):
        agent = make_agent()
        real = x509.load_pem_x509_certificate(enroll(agent).certificate_pem.encode())
        key = make_key()
        forged = (
            x509.CertificateBuilder()
            .subject_name(real.subject)
            .issuer_name(real.issuer)
            .public_key(key.public_key())
            .serial_number(real.serial_number)
            .not_valid_before(real.not_valid_before_utc)
            .not_valid_after(real.not_valid_after_utc)
        )
        for extension in real.extensions:
            forged = forged.add_extension(extension.value, extension.critical)
        der = forged.sign(key, real.signature_hash_algorithm).public_bytes(
            serialization.Encoding.DER
        )

        assert code_of(der) == "certificate_unknown"

    def test_the_listeners_own_certificate_is_of_the_wrong_purpose(self, db):
        certificate, _ = pki.issue_server_certificate(
            services.ensure_authority(at=AT), hosts=["localhost"], at=AT
        )

        assert (
            code_of(certificate.public_bytes(serialization.Encoding.DER))
            == "certificate_wrong_purpose"
        )

    def test_a_suspended_tenants_agents_are_refused(self, in_acme):
        der = der_of(enroll(make_agent()))
        in_acme.is_active = False
        in_acme.save(update_fields=["is_active"])

        assert code_of(der) == "certificate_revoked"


class TestRevocation:
    def test_revocation_takes_effect_within_two_seconds_on_a_cached_certificate(self, in_acme):
        agent = make_agent()
        der = der_of(enroll(agent))
        assert code_of(der, AT) == "accepted"

        services.revoke_agent(agent=agent, actor=ACTOR, at=AT)

        assert code_of(der, AT + 2 * SECOND) == "certificate_revoked"
        assert code_of(der, AT + 2 * SECOND, for_renewal=True) == "certificate_revoked"

    def test_an_uncached_certificate_is_refused_at_once(self, in_acme):
        agent = make_agent()
        der = der_of(enroll(agent))
        services.revoke_agent(agent=agent, actor=ACTOR, at=AT)

        assert code_of(der) == "certificate_revoked"

    def test_a_clock_that_jumps_back_does_not_revive_the_cache(self, in_acme):
        agent = make_agent()
        der = der_of(enroll(agent))
        assert code_of(der, AT + 100 * SECOND) == "accepted"
        services.revoke_agent(agent=agent, actor=ACTOR, at=AT)

        assert code_of(der, AT) == "certificate_revoked"

    def test_deleting_an_agent_revokes_it_and_keeps_the_record(self, in_acme):
        agent = make_agent()
        der = der_of(enroll(agent))

        services.delete_agent(agent=agent, actor=ACTOR, at=AT)

        assert code_of(der) == "certificate_revoked"
        assert AgentCertificate.objects.get().revoked_at == AT

    def test_fails_closed_without_a_database(self, in_acme, monkeypatch):
        der = der_of(enroll(make_agent()))

        class Unavailable:
            def select_related(self, *_):
                raise ConnectionError

        monkeypatch.setattr(identity_module.AgentCertificate, "objects", Unavailable())
        with pytest.raises(ConnectionError):
            services.authenticate_certificate(der=der, at=AT)


class TestCost:
    def test_one_query_and_then_none_for_two_seconds(self, in_acme):
        der = der_of(enroll(make_agent()))

        with CaptureQueriesContext(connection) as first:
            assert code_of(der) == "accepted"
        with CaptureQueriesContext(connection) as second:
            assert code_of(der, AT + SECOND) == "accepted"

        assert (len(first), len(second)) == (1, 0)

    def test_the_cache_is_bounded(self, in_acme, monkeypatch):
        monkeypatch.setattr(identity_module, "_CACHE_SIZE", 2)
        for n in range(4):
            code_of(der_of(enroll(make_agent(f"a{n}"))))

        assert len(identity_module._cache._rows) == 2


class TestRenewal:
    def test_both_certificates_work_in_the_overlap(self, in_acme):
        agent = make_agent()
        old = enroll(agent)
        at = AT + timedelta(days=15)
        identity = services.authenticate_certificate(der=der_of(old), at=at, for_renewal=True)

        new = services.renew_certificate(identity=identity, csr_pem=make_csr(), at=at)

        assert code_of(der_of(old), at) == code_of(der_of(new), at) == "accepted"
        assert new.not_after == at.replace(microsecond=0) + timedelta(days=30)

    def test_a_revocation_between_the_check_and_the_renewal_wins(self, in_acme):
        agent = make_agent()
        identity = services.authenticate_certificate(der=der_of(enroll(agent)), at=AT)
        services.revoke_agent(agent=agent, actor=ACTOR, at=AT)

        with pytest.raises(services.CertificateRefused) as caught:
            services.renew_certificate(identity=identity, csr_pem=make_csr(), at=AT)

        assert caught.value.code == "certificate_revoked"
        assert AgentCertificate.objects.count() == 1
