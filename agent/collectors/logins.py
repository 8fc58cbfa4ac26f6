"""Decrypts the logins of a device's config, in memory only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.errors import DeviceFailed
from agent.protocol.config import DeviceConfig, NamedCredential
from agent.protocol.sealing import SealedBoxInvalid, open_sealed


class CredentialMissing(DeviceFailed):
    """There is no password for this device, or none that this agent can decrypt."""

    code = "credential_missing"
    is_permanent = True

    def __init__(self) -> None:
        super().__init__("The server sent no password that this agent can decrypt.")


@dataclass(frozen=True)
class DecryptedLogin:
    """A login with its plaintext password, the main secret of its kind."""

    username: str
    password: str = field(repr=False)
    #: Its id; empty when the server names none.
    credential_set: str = ""
    #: The kind of the credential set; empty when the server names none.
    kind: str = ""
    #: The parts that are not secret, and all secrets by name if the kind has several.
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def decrypt_logins(config: DeviceConfig, key: X25519PrivateKey) -> list[DecryptedLogin]:
    """All logins that this key decrypts, in the order of preference. Older servers send one at most."""
    single = config["credential"]
    listed = config.get("credentials")
    if not listed and single is not None:
        username, sealed_password = single["username"], single["sealed_password"]
        listed = [{"credential_set": "", "username": username, "sealed_password": sealed_password}]
    logins = []
    for credential in listed or ():
        try:
            logins.append(_decrypt(credential, config["id"], key))
        except (SealedBoxInvalid, ValueError):
            continue
    return logins


def _decrypt(credential: NamedCredential, device_id: str, key: X25519PrivateKey) -> DecryptedLogin:
    """Raises SealedBoxInvalid, ValueError."""
    sealed_secrets = credential.get("sealed_secrets")
    return DecryptedLogin(
        username=credential["username"],
        password=open_sealed(key, credential["sealed_password"], device_id).decode(),
        credential_set=credential["credential_set"],
        kind=credential.get("kind", ""),
        options=credential.get("options", {}),
        secrets=json.loads(open_sealed(key, sealed_secrets, device_id)) if sealed_secrets else {},
    )
