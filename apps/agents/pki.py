"""The certificates of agents and of the ingest listener. Pure.

The server decides the whole content of a certificate. Of a CSR only the public key is used; subject, names and
extensions are not read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from apps.agents.errors import (
    CertificateMissing,
    CertificateRefused,
    CertificateRequestRefused,
)

MAX_CSR_BYTES = 16 * 1024
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
CA_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=365)
AGENT_LIFETIME = timedelta(days=30)
#: Certificates start slightly in the past, because clocks differ by minutes.
NOT_BEFORE_MARGIN = timedelta(minutes=5)
#: Certificates that agents verify by their own clocks start earlier, because an agent's clock may be hours behind.
CLOCK_TOLERANCE = timedelta(days=1)

AgentPublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True)
class Authority:
    """A certificate authority that can sign."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> str:
        return to_pem(self.certificate)

    @property
    def key_pem(self) -> bytes:
        return _key_pem(self.key)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate's DER, in hexadecimal: the pin in enrollment tokens."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()


@dataclass(frozen=True)
class PresentedCertificate:
    """The claims of a client certificate; not trusted before its serial was looked up."""

    serial: str
    fingerprint: bytes
    tenant_id: UUID
    agent_id: UUID
    not_before: datetime
    not_after: datetime


def create_authority(*, name: str, at: datetime, lifetime: timedelta = CA_LIFETIME) -> Authority:
    """A new self-signed authority (P-256) that can sign leaf certificates but no authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = _key_usage(signs_certificates=True)
    certificate = (
        _builder(subject, subject, key.public_key(), at - CLOCK_TOLERANCE, at + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate=certificate, key=key)


def load_authority(*, bundle_pem: bytes) -> Authority:
    """Load an authority from its key and certificate in one PEM text.

    Raises ValueError when the two do not belong together.
    """
    certificate = x509.load_pem_x509_certificate(bundle_pem)
    key = serialization.load_pem_private_key(bundle_pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("The authority's key is not an elliptic curve key.")  # noqa: TRY004  (stored data)
    if key.public_key() != certificate.public_key():
        raise ValueError("The authority's key does not belong to its certificate.")
    return Authority(certificate=certificate, key=key)


def issue_server_certificate(
    authority: Authority,
    *,
    hosts: Sequence[str],
    at: datetime,
    lifetime: timedelta = SERVER_LIFETIME,
) -> tuple[x509.Certificate, bytes]:
    """A certificate for the ingest listener under these host names and addresses, and its new key as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = sign_server_key(
        authority, public_key=key.public_key(), hosts=hosts, at=at, lifetime=lifetime
    )
    return certificate, _key_pem(key)


def create_server_csr() -> tuple[str, bytes]:
    """A request for the listener's certificate, and its new key as PEM. The host names are passed separately."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ispvm ingest")])
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode(), _key_pem(key)


def sign_server_key(
    authority: Authority,
    *,
    public_key: AgentPublicKey,
    hosts: Sequence[str],
    at: datetime,
    lifetime: timedelta = SERVER_LIFETIME,
) -> x509.Certificate:
    """A certificate for the ingest listener under these host names and addresses."""
    if not hosts:
        raise ValueError("A server certificate needs at least one host.")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ispvm ingest")])
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    until = min(at + lifetime, authority.certificate.not_valid_after_utc)
    return _sign_leaf(
        authority,
        _builder(subject, authority.certificate.subject, public_key, at - CLOCK_TOLERANCE, until),
        names,
        ExtendedKeyUsageOID.SERVER_AUTH,
        public_key,
    )


def validate_csr(csr_pem: str) -> AgentPublicKey:
    """The public key of an acceptable certificate request.

    Raises CertificateRequestRefused. Accepted keys: P-256, P-384, Ed25519, RSA of 2048 to 8192 bits.
    """
    if len(csr_pem) > MAX_CSR_BYTES:
        raise CertificateRequestRefused(
            "csr_too_large", f"A certificate request is at most {MAX_CSR_BYTES} bytes."
        )
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateRequestRefused(
            "csr_unreadable", "This is not a certificate request in PEM format."
        ) from error
    if not _is_allowed_key(key):
        raise CertificateRequestRefused(
            "csr_weak_key", "Use a P-256, P-384 or Ed25519 key, or RSA of at least 2048 bits."
        )
    if not _is_self_signed(request):
        raise CertificateRequestRefused(
            "csr_bad_signature", "The request is not signed with its own key."
        )
    return key  # type: ignore[return-value]  # checked by _is_allowed_key


def issue_agent_certificate(
    authority: Authority,
    *,
    public_key: AgentPublicKey,
    tenant_id: UUID,
    agent_id: UUID,
    at: datetime,
    lifetime: timedelta = AGENT_LIFETIME,
) -> x509.Certificate:
    """A client certificate; the server decides its whole content."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(agent_id))])
    names = x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(identity_uri(tenant_id, agent_id))]
    )
    until = min(at + lifetime, authority.certificate.not_valid_after_utc)
    return _sign_leaf(
        authority,
        _builder(subject, authority.certificate.subject, public_key, at, until),
        names,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        public_key,
    )


def identity_uri(tenant_id: UUID, agent_id: UUID) -> str:
    """The agent's identity URI in its certificate."""
    return f"ispvm://tenant/{tenant_id}/agent/{agent_id}"


def read_agent_certificate(der: bytes) -> PresentedCertificate:
    """The claims of a presented certificate. TLS has checked the chain; the caller checks the serial.

    Raises CertificateMissing for data that is not a certificate, CertificateRefused if it is not an agent's.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise CertificateMissing(message="The client certificate cannot be read.") from error
    except x509.ExtensionNotFound as error:
        raise _wrong_purpose() from error
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if ExtendedKeyUsageOID.CLIENT_AUTH not in purposes or len(uris) != 1:
        raise _wrong_purpose()
    tenant_id, agent_id = _parse_identity(uris[0])
    return PresentedCertificate(
        serial=serial_text(certificate),
        fingerprint=certificate.fingerprint(hashes.SHA256()),
        tenant_id=tenant_id,
        agent_id=agent_id,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def serial_text(certificate: x509.Certificate) -> str:
    """A serial number as it is stored and shown: lower-case hexadecimal."""
    return f"{certificate.serial_number:x}"


def to_pem(certificate: x509.Certificate) -> str:
    """The PEM text of a certificate."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def fingerprint_of(pem: str) -> str:
    """SHA-256 of a certificate's DER, in hexadecimal."""
    return x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()).hex()


def certificate_hosts(certificate: x509.Certificate) -> frozenset[str]:
    """The host names and addresses of a server certificate."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return frozenset(
        [
            *names.get_values_for_type(x509.DNSName),
            *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
        ]
    )


def normalize_host(host: str) -> str:
    """A host normalized as in ``certificate_hosts``."""
    name = _general_name(host)
    return str(name.value)


def is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether this authority's own key signed the certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _wrong_purpose() -> CertificateRefused:
    return CertificateRefused("certificate_wrong_purpose", "This is not an agent's certificate.")


def _parse_identity(uri: str) -> tuple[UUID, UUID]:
    match uri.split("/"):
        case ["ispvm:", "", "tenant", tenant, "agent", agent]:
            try:
                return UUID(tenant), UUID(agent)
            except ValueError as error:
                raise _wrong_purpose() from error
    raise _wrong_purpose()


def _is_allowed_key(key: object) -> bool:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
    if isinstance(key, rsa.RSAPublicKey):
        return MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
    return isinstance(key, ed25519.Ed25519PublicKey)


def _is_self_signed(request: x509.CertificateSigningRequest) -> bool:
    try:
        return request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return False


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: AgentPublicKey,
    at: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - NOT_BEFORE_MARGIN)
        .not_valid_after(until)
    )


def _sign_leaf(
    authority: Authority,
    builder: x509.CertificateBuilder,
    names: x509.SubjectAlternativeName,
    purpose: x509.ObjectIdentifier,
    public_key: AgentPublicKey,
) -> x509.Certificate:
    issuer_key = authority.key.public_key()
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
