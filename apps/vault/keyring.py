"""Master keys from files outside the database."""

import os
import stat
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import new as hmac
from pathlib import Path

from apps.vault.envelope import KEY_BYTES, KEY_ID_BYTES
from apps.vault.errors import MasterKeyInvalid

_HEX_DIGITS = 2 * KEY_BYTES
_MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True)
class MasterKey:
    """A key-encryption key. Its id is derived from it and does not reveal it."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        return hmac(self.secret, b"ispvm master key id", sha256).digest()[:KEY_ID_BYTES]

    @property
    def label(self) -> str:
        """The id in hexadecimal, as tables and messages show it."""
        return self.id.hex()


@dataclass(frozen=True)
class Keyring:
    """The master key that seals, and earlier ones that still open. ``source`` names where it came from."""

    current: MasterKey
    previous: tuple[MasterKey, ...]
    source: str
    is_in_environment: bool = False

    def find(self, key_id: bytes) -> MasterKey | None:
        return next((key for key in self.all if key.id == key_id), None)

    @property
    def all(self) -> tuple[MasterKey, ...]:
        return (self.current, *self.previous)


def read_keyring(*, path: str, text: str, previous_path: str) -> Keyring:
    """The keyring of a file: its first key seals, the others only open. Without a file: from the environment variable.

    Raises MasterKeyInvalid.
    """
    previous = read_keys(previous_path) if previous_path else []
    if path:
        current, *others = read_keys(path)
        return Keyring(current, _without([*others, *previous], current), path)
    if not text:
        raise MasterKeyInvalid("ISPVM_MASTER_KEY_FILE is not set.")
    key = _key_of(text.strip(), "The master key in ISPVM_MASTER_KEY")
    return Keyring(key, _without(previous, key), "ISPVM_MASTER_KEY", is_in_environment=True)


def read_keys(path: str) -> list[MasterKey]:
    """The keys of a file, one a line: 64 hexadecimal digits each. Raises MasterKeyInvalid."""
    name = f"The master key file {path}"
    try:
        with Path(path).open("rb") as file:
            _require_private_mode(os.fstat(file.fileno()).st_mode, path)
            raw = file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise MasterKeyInvalid(
            f"{name} cannot be read ({error.strerror}); restore it from your backup, "
            "or let the account of this process read it."
        ) from error
    lines = raw.decode("ascii", "replace").split()
    return [_key_of(line, name) for line in lines or [""]]


def _key_of(text: str, name: str) -> MasterKey:
    try:
        secret = bytes.fromhex(text)
    except ValueError as error:
        # The chained error names a position and none of the digits.
        raise MasterKeyInvalid(
            f"{name} does not consist of {_HEX_DIGITS} hexadecimal digits; restore it from your backup."
        ) from error
    if len(secret) != KEY_BYTES:
        raise MasterKeyInvalid(
            f"{name} holds {len(secret)} bytes, {KEY_BYTES} are needed; restore it from your backup."
        )
    return MasterKey(secret)


def _require_private_mode(mode: int, path: str) -> None:
    # The group may read: systemd credentials and mounted secrets are given that way.
    if stat.S_IMODE(mode) & (stat.S_IRWXO | stat.S_IWGRP):
        raise MasterKeyInvalid(
            f"The master key file {path} can be read or changed by other accounts "
            f"(mode {stat.S_IMODE(mode):04o}); run: chmod 0400 {path}"
        )


def _without(keys: list[MasterKey], current: MasterKey) -> tuple[MasterKey, ...]:
    return tuple(dict.fromkeys(key for key in keys if key != current))
