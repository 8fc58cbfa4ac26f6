"""The agent's state folder: identity, keys, last config. Files are replaced atomically."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from agent.errors import AgentError, NotEnrolled
from agent.protocol.config import AgentConfig


@dataclass(frozen=True)
class Enrollment:
    """Server, agent and tenant that this folder was enrolled for."""

    url: str
    agent_id: str
    tenant_id: str


class StateDir:
    """Files of one agent. The folder is 0700, every file in it 0600."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def identity(self) -> Path:
        """Private key and certificate in one file: a renewal replaces both in one step."""
        return self.folder / "identity.pem"

    @property
    def ca_bundle(self) -> Path:
        """The trusted CA certificates of the server."""
        return self.folder / "ca.pem"

    @property
    def buffer(self) -> Path:
        return self.folder / "buffer"

    def create(self) -> None:
        """Raises AgentError when the folder cannot be created."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise AgentError(f"Cannot create {self.folder}: {error.strerror}.") from error

    def write(self, name: str, content: bytes) -> None:
        """Replace one file atomically: a crash leaves the old or the new content."""
        target = self.folder / name
        temporary = target.with_name(f".{name}.{os.getpid()}")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            os.fchmod(handle, 0o600)  # the umask may have removed bits
            out.write(content)
            out.flush()
            os.fsync(handle)
        temporary.replace(target)
        sync_folder(self.folder)

    def enrollment(self) -> Enrollment:
        """Raises NotEnrolled."""
        document = self._read_json("agent.json")
        try:
            return Enrollment(document["url"], document["agent_id"], document["tenant_id"])
        except (KeyError, TypeError) as error:
            raise NotEnrolled(
                f"{self.folder} holds no enrolled agent; run `python -m agent enroll` first."
            ) from error

    def is_enrolled(self) -> bool:
        """agent.json is written last: if it exists, all other files exist."""
        return (self.folder / "agent.json").exists()

    def save_enrollment(self, enrollment: Enrollment) -> None:
        self.write("agent.json", _json(asdict(enrollment)))

    def config(self) -> AgentConfig | None:
        """The last config, so that polling continues after a restart without the server."""
        return self._read_json("config.json") or None

    def save_config(self, config: AgentConfig) -> None:
        self.write("config.json", _json(config))

    def save_status(self, status: Mapping[str, Any]) -> None:
        """For `python -m agent status`; not synced, nothing else reads it."""
        temporary = self.folder / ".status.json.new"
        temporary.write_bytes(_json(status))
        temporary.replace(self.folder / "status.json")

    def status(self) -> Any:
        return self._read_json("status.json")

    def sealing_key(self) -> X25519PrivateKey:
        """The private key that decrypts router passwords. Created once; never leaves the folder."""
        path = self.folder / "sealing.key"
        try:
            return X25519PrivateKey.from_private_bytes(path.read_bytes())
        except FileNotFoundError:
            key = X25519PrivateKey.generate()
            raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
            self.write(path.name, raw)
            return key
        except ValueError as error:
            raise AgentError(f"{path} is damaged; enroll this host again.") from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Exclusive use of the folder. The kernel releases the lock when the process ends.

        Raises AgentError when another process holds it.
        """
        with os.fdopen(os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)) as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise AgentError(f"Another agent process uses {self.folder}.") from error
            yield

    def _read_json(self, name: str) -> Any:
        try:
            return json.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise AgentError(f"{self.folder / name} cannot be read: {error}") from error


def public_bytes(key: X25519PrivateKey) -> bytes:
    """The raw public key, as the server encrypts for it."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def sync_folder(folder: Path) -> None:
    """Sync the directory entry, so that a rename or new file survives a power loss."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _json(content: object) -> bytes:
    return json.dumps(content, indent=1).encode() + b"\n"
