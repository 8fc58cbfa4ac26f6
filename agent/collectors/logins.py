"""Decrypts the logins of a device's config, in memory only."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.errors import DeviceFailed
from agent.protocol.config import Credential, DeviceConfig
from agent.protocol.sealing import SealedBoxInvalid, open_sealed


class CredentialMissing(DeviceFailed):
    """There is no password for this device, or none that this agent can decrypt."""

    is_permanent = True

    def __init__(self) -> None:
        super().__init__("The server sent no password that this agent can decrypt.")


@dataclass(frozen=True)
class DecryptedLogin:
    """A login with its plaintext password. ``credential_set`` is empty when the server names none."""

    username: str
    password: str = field(repr=False)
    credential_set: str = ""


def decrypt_logins(config: DeviceConfig, key: X25519PrivateKey) -> list[DecryptedLogin]:
    """All logins that this key decrypts, in the order of preference. Older servers send one at most."""
    single = config["credential"]
    named: list[tuple[Credential, str]] = [
        (credential, credential["credential_set"]) for credential in config.get("credentials") or ()
    ] or ([(single, "")] if single is not None else [])
    logins = []
    for credential, credential_set in named:
        try:
            password = open_sealed(key, credential["sealed_password"], config["id"]).decode()
        except (SealedBoxInvalid, UnicodeDecodeError):
            continue
        logins.append(DecryptedLogin(credential["username"], password, credential_set))
    return logins
