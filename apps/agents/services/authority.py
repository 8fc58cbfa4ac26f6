"""The installation's certificate authority, in the vault's platform area."""

from datetime import datetime

from apps.agents.pki import Authority, load_authority, make_authority
from apps.vault.services import platform_secret, store_platform_secret

_KEY = "agents-ca-key"
_CERTIFICATE = "agents-ca-certificate"


def ensure_authority(*, at: datetime) -> Authority:
    """The authority that signs agents and the ingest listener, made on first use; racing makers agree on one."""
    bundle = platform_secret(_KEY)
    if bundle is None:
        made = make_authority(name="ISPVisualMonitor agents CA", at=at)
        # Key and certificate are one secret: two racing makers could otherwise each win a half.
        bundle = store_platform_secret(
            name=_KEY, plaintext=made.key_pem + made.certificate_pem.encode(), at=at
        )
    authority = load_authority(bundle_pem=bundle)
    store_platform_secret(name=_CERTIFICATE, plaintext=authority.certificate_pem.encode(), at=at)
    return authority


def authority_certificate(*, at: datetime) -> str:
    """The authority's certificate as PEM, without touching its key."""
    stored = platform_secret(_CERTIFICATE)
    return stored.decode() if stored else ensure_authority(at=at).certificate_pem
