"""The logins of a device's config, opened in memory."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.errors import DeviceFailed
from agent.protocol.config import Credential, DeviceConfig
from agent.protocol.sealing import SealedBoxInvalid, open_sealed


class CredentialMissing(DeviceFailed):
    """There is no password for this device, or none was sealed for us."""

    is_lasting = True

    def __init__(self) -> None:
        super().__init__("The server gave no password that this agent can open.")


@dataclass(frozen=True)
class Opened:
    """A login in the clear. ``credential_set`` is empty when the server names none."""

    username: str
    password: str = field(repr=False)
    credential_set: str = ""


def open_logins(config: DeviceConfig, key: X25519PrivateKey) -> list[Opened]:
    """Every login that opens, best first. A server of before names one at most."""
    single = config["credential"]
    named: list[tuple[Credential, str]] = [
        (credential, credential["credential_set"]) for credential in config.get("credentials") or ()
    ] or ([(single, "")] if single is not None else [])
    found = []
    for credential, credential_set in named:
        try:
            password = open_sealed(key, credential["sealed_password"], config["id"]).decode()
        except (SealedBoxInvalid, UnicodeDecodeError):
            continue
        found.append(Opened(credential["username"], password, credential_set))
    return found
