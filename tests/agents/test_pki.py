from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from apps.agents import pki
from apps.agents.errors import CertificateMissing, CertificateRefused, CertificateRequestRefused
from tests.agents.csr import forged_csr, greedy_extensions, make_csr, make_key

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TENANT, AGENT = UUID(int=1), UUID(int=2)


@pytest.fixture(scope="module")
def authority() -> pki.Authority:
    return pki.create_authority(name="test CA", at=AT)


def issue(authority: pki.Authority, csr: str, **fields) -> x509.Certificate:
    return pki.issue_agent_certificate(
        authority,
        public_key=pki.validate_csr(csr),
        tenant_id=TENANT,
        agent_id=AGENT,
        at=AT,
        **fields,
    )


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


class TestValidateCsr:
    @pytest.mark.parametrize("kind", ["p256", "p384", "ed25519", "rsa2048"])
    def test_strong_keys_are_accepted(self, kind):
        key = make_key(kind)

        assert pki.validate_csr(make_csr(key)) == key.public_key()

    @pytest.mark.parametrize("kind", ["rsa1024", "p521", "p192", "secp256k1", "ed448", "dsa2048"])
    def test_weak_and_odd_keys_are_refused(self, kind):
        with pytest.raises(CertificateRequestRefused) as caught:
            pki.validate_csr(make_csr(make_key(kind)))

        assert caught.value.code == "csr_weak_key"

    def test_a_request_signed_by_another_key_is_refused(self):
        with pytest.raises(CertificateRequestRefused) as caught:
            pki.validate_csr(forged_csr())

        assert caught.value.code == "csr_bad_signature"

    def test_a_megabyte_is_refused_before_it_is_parsed(self, monkeypatch):
        monkeypatch.setattr(x509, "load_pem_x509_csr", lambda _: pytest.fail("parsed"))
        big = make_csr(padding=1_000_000)
        assert len(big) > 1_000_000

        with pytest.raises(CertificateRequestRefused) as caught:
            pki.validate_csr(big)

        assert caught.value.code == "csr_too_large"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "nonsense",
            "\ud800",
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            make_csr()[:200],
            make_csr().replace("CERTIFICATE REQUEST", "CERTIFICATE"),
        ],
    )
    def test_an_invalid_request_is_refused(self, text):
        with pytest.raises(CertificateRequestRefused) as caught:
            pki.validate_csr(text)

        assert caught.value.code == "csr_unreadable"


class TestAgentCertificates:
    def test_the_server_decides_the_content(self, authority):
        other = pki.identity_uri(UUID(int=8), UUID(int=9))
        greedy = make_csr(name="admin", extensions=greedy_extensions(other))

        certificate = issue(authority, greedy)

        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        assert [n.value for n in names] == [pki.identity_uri(TENANT, AGENT)]
        assert (constraints.ca, constraints.path_length) == (False, None)
        assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        assert (usage.digital_signature, usage.key_cert_sign, usage.crl_sign) == (
            True,
            False,
            False,
        )
        assert [
            a.value for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ] == [str(AGENT)]
        assert certificate.issuer == authority.certificate.subject
        assert pki.is_signed_by(certificate, authority.certificate)

    def test_expires_after_thirty_days_or_with_its_authority(self, authority):
        certificate = issue(authority, make_csr())
        assert certificate.not_valid_after_utc - AT == timedelta(days=30)
        assert certificate.not_valid_before_utc < AT

        short = pki.create_authority(name="short", at=AT, lifetime=timedelta(days=3))
        assert issue(short, make_csr()).not_valid_after_utc == short.certificate.not_valid_after_utc

    def test_contains_the_identity(self, authority):
        certificate = issue(authority, make_csr())

        read = pki.read_agent_certificate(der(certificate))

        assert (read.tenant_id, read.agent_id) == (TENANT, AGENT)
        assert read.serial == f"{certificate.serial_number:x}"
        assert read.not_after == certificate.not_valid_after_utc

    def test_a_server_certificate_is_refused(self, authority):
        certificate, _ = pki.issue_server_certificate(authority, hosts=["localhost"], at=AT)

        with pytest.raises(CertificateRefused) as caught:
            pki.read_agent_certificate(der(certificate))

        assert caught.value.code == "certificate_wrong_purpose"

    def test_the_authoritys_certificate_is_refused(self, authority):
        with pytest.raises(CertificateRefused):
            pki.read_agent_certificate(der(authority.certificate))

    @pytest.mark.parametrize("junk", [b"", b"\x30\x82", b"GET / HTTP/1.1", b"\0" * 5000])
    def test_invalid_data_is_refused(self, junk):
        with pytest.raises(CertificateMissing):
            pki.read_agent_certificate(junk)


class TestServerCertificates:
    def test_has_its_hosts_and_matches_its_key(self, authority):
        certificate, key_pem = pki.issue_server_certificate(
            authority, hosts=["127.40.0.1", "ingest.example", "::1"], at=AT
        )

        assert pki.certificate_hosts(certificate) == {"127.40.0.1", "ingest.example", "::1"}
        key = serialization.load_pem_private_key(key_pem, password=None)
        assert key.public_key() == certificate.public_key()
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]

    def test_another_authoritys_signature_does_not_pass(self, authority):
        imposter = pki.create_authority(name="test CA", at=AT)
        certificate, _ = pki.issue_server_certificate(imposter, hosts=["localhost"], at=AT)

        assert not pki.is_signed_by(certificate, authority.certificate)


class TestAuthority:
    def test_it_is_loaded_from_its_bundle(self, authority):
        bundle = authority.key_pem + authority.certificate_pem.encode()

        again = pki.load_authority(bundle_pem=bundle)

        assert again.certificate == authority.certificate
        assert again.fingerprint == authority.fingerprint

    def test_a_key_that_does_not_fit_is_refused(self, authority):
        other = pki.create_authority(name="other", at=AT)

        with pytest.raises(ValueError, match="belong"):
            pki.load_authority(bundle_pem=other.key_pem + authority.certificate_pem.encode())

    def test_it_signs_leaves_only(self, authority):
        constraints = authority.certificate.extensions.get_extension_for_class(
            x509.BasicConstraints
        ).value
        assert (constraints.ca, constraints.path_length) == (True, 0)
