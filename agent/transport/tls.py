"""TLS contexts, keys and certificates of the agent."""

import hashlib
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.errors import AgentError


def unverified_context() -> ssl.SSLContext:
    """For one request only: fetching the CA certificate, which is then checked against the token's fingerprint."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# X509_V_FLAG_NO_CHECK_TIME of OpenSSL 1.1+; Python's ssl module has no name for it.
_NO_CHECK_TIME = 0x200000


def enrollment_context(ca_pem: str) -> ssl.SSLContext:
    """Trusts the pinned CA alone and checks the server's name, but not validity periods: the clock of a new
    host may be years off. Raises AgentError."""
    context = strict_context(ca_pem)
    context.verify_flags |= _NO_CHECK_TIME
    return context


def strict_context(ca_pem: str, identity: Path | None = None) -> ssl.SSLContext:
    """Trusts these CAs alone and checks the server's name; presents the agent's certificate if given.

    Raises AgentError when the files are invalid.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=ca_pem)
        if identity is not None:
            context.load_cert_chain(identity)
    except (OSError, ValueError) as error:
        raise AgentError(f"The agent's certificates cannot be used: {error}") from error
    return context


def fingerprint(ca_pem: str) -> str:
    """SHA-256 of a certificate's DER in hex, as in enrollment tokens. Raises AgentError."""
    try:
        certificate = x509.load_pem_x509_certificate(ca_pem.encode())
    except ValueError as error:
        raise AgentError("The server's response holds no CA certificate.") from error
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def fingerprints(bundle_pem: str) -> list[str]:
    """SHA-256 of each certificate in a bundle. Raises AgentError."""
    try:
        certificates = x509.load_pem_x509_certificates(bundle_pem.encode())
    except ValueError as error:
        raise AgentError("The CA certificates cannot be read; enroll this host again.") from error
    return [certificate.fingerprint(hashes.SHA256()).hex() for certificate in certificates]


def make_key() -> ec.EllipticCurvePrivateKey:
    """A new P-256 key; every certificate has a key of its own."""
    return ec.generate_private_key(ec.SECP256R1())


def make_csr(key: ec.EllipticCurvePrivateKey) -> str:
    """A certificate request. The server ignores its subject and sets names and purposes itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ispvm-agent")])
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode()


def identity_pem(key: ec.EllipticCurvePrivateKey, certificate_pem: str) -> bytes:
    """Key and certificate in one file. Raises AgentError when they do not match."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    except ValueError as error:
        raise AgentError("The server's response holds no certificate.") from error
    if certificate.public_key() != key.public_key():
        raise AgentError(
            "The certificate in the server's response does not match the key of the request."
        )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key_pem + certificate_pem.encode()


def own_certificate(identity: Path) -> x509.Certificate:
    """Raises AgentError when it cannot be read."""
    try:
        return x509.load_pem_x509_certificate(identity.read_bytes())
    except (OSError, ValueError) as error:
        raise AgentError(f"{identity} cannot be read; enroll this host again.") from error
