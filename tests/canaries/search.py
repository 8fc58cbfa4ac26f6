"""Dumps of everything that may hold a leaked secret, and the search for secrets in every encoding."""

import os
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import redis

from ispvm.supervisor.programs import find_postgres

#: A shorter text may occur by chance.
MIN_CHARS = 8


def encodings_of(secret: str | bytes) -> set[bytes]:
    """Plain, quoted for a URL, in hexadecimal, and in base64 at any offset of the encoded data."""
    raw = secret.encode() if isinstance(secret, str) else secret
    assert len(raw) >= MIN_CHARS
    encodings = {raw, quote(raw).encode(), raw.hex().encode(), raw.hex().upper().encode()}
    for shift in range(3):
        # The middle of the encoding does not depend on the surrounding data.
        text = b64encode(b"\0" * shift + raw)
        encodings.add(text[(0, 2, 3)[shift] : len(text) - 4])
    return {encoding for encoding in encodings if len(encoding) >= MIN_CHARS}


def find_leaks(secrets: Mapping[str, str | bytes], sources: Mapping[str, bytes]) -> list[str]:
    """``canary in source`` for each leak."""
    encodings = {name: encodings_of(secret) for name, secret in secrets.items()}
    return [
        f"{name} in {source}"
        for name, texts in encodings.items()
        for source, content in sources.items()
        if any(text in content for text in texts)
    ]


def dump_database(url: str, name: str) -> bytes:
    """A full dump, by a role that sees every row."""
    parts = urlsplit(url)
    programs = find_postgres(os.environ.get("ISPVM_POSTGRES"), [])
    process = subprocess.run(
        [
            str(programs.bin / "pg_dump"),
            *("--host", str(parts.hostname), "--port", str(parts.port)),
            *("--username", str(parts.username), "--dbname", name, "--no-password", "--inserts"),
        ],
        check=True,
        capture_output=True,
        env={**os.environ, "PGPASSWORD": unquote(parts.password or "")},
    )
    assert b"PostgreSQL database dump complete" in process.stdout
    return process.stdout


def dump_broker(url: str) -> bytes:
    """All keys and values, which include queued tasks with their arguments."""
    client = redis.Redis.from_url(url)
    readers: dict[bytes, Any] = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    parts = []
    for key in client.scan_iter(count=1000):
        kind: Any = client.type(key)
        parts += [key, _flat(readers[kind](key)) if kind in readers else client.dump(key) or b""]
    return b"\n".join(parts)


def _flat(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping):
        return b"\n".join(_flat(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set):
        return b"\n".join(_flat(part) for part in value)
    return str(value).encode()
