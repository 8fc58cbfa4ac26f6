"""Valid and hostile certificate requests."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def make_key(kind: str = "p256"):
    return {
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "p192": lambda: ec.generate_private_key(ec.SECP192R1()),
        "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ed448": ed448.Ed448PrivateKey.generate,
        "rsa1024": lambda: rsa.generate_private_key(65537, 1024),
        "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
        "dsa2048": lambda: dsa.generate_private_key(2048),
    }[kind]()


def make_csr(key=None, *, name: str = "agent", extensions=(), padding: int = 0) -> str:
    key = key or make_key()
    unhashed = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    if padding:
        names = [x509.DNSName(f"{n}.{'x' * 50}.example") for n in range(padding // 60)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    request = builder.sign(key, None if unhashed else hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def greedy_extensions(uri: str) -> list[x509.ExtensionType]:
    """Extensions that must not be granted: CA, server, another identity."""
    return [
        x509.BasicConstraints(ca=True, path_length=3),
        x509.SubjectAlternativeName(
            [x509.UniformResourceIdentifier(uri), x509.DNSName("ingest.example")]
        ),
        x509.ExtendedKeyUsage(
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]
        ),
    ]


def forged_csr() -> str:
    """A request with the signature of another key."""
    der = x509.load_pem_x509_csr(make_csr(name="aaaaa").encode()).public_bytes(
        serialization.Encoding.DER
    )
    tampered = der.replace(b"aaaaa", b"bbbbb")
    return x509.load_der_x509_csr(tampered).public_bytes(serialization.Encoding.PEM).decode()
