"""Where secrets may have gone to, as bytes, and looking for them there in each form that they may have taken."""

import os
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import redis

from ispvm.supervisor.programs import find_postgres

#: Below this, an answer may hold it by chance.
SHORTEST = 8


def forms_of(secret: str | bytes) -> set[bytes]:
    """As it is, quoted for a URL, in hexadecimal, in base64 wherever it stands in what was encoded."""
    raw = secret.encode() if isinstance(secret, str) else secret
    assert len(raw) >= SHORTEST
    forms = {raw, quote(raw).encode(), raw.hex().encode(), raw.hex().upper().encode()}
    for shift in range(3):
        # The middle is the same whatever stands around it.
        text = b64encode(b"\0" * shift + raw)
        forms.add(text[(0, 2, 3)[shift] : len(text) - 4])
    return {form for form in forms if len(form) >= SHORTEST}


def found_in(secrets: Mapping[str, str | bytes], places: Mapping[str, bytes]) -> list[str]:
    """``canary in place`` for each that was found."""
    forms = {name: forms_of(secret) for name, secret in secrets.items()}
    return [
        f"{name} in {place}"
        for name, texts in forms.items()
        for place, content in places.items()
        if any(text in content for text in texts)
    ]


def database(url: str, name: str) -> bytes:
    """All that a backup holds, read by a role that every row is visible to."""
    parts = urlsplit(url)
    programs = find_postgres(os.environ.get("ISPVM_POSTGRES"), [])
    done = subprocess.run(
        [
            str(programs.bin / "pg_dump"),
            *("--host", str(parts.hostname), "--port", str(parts.port)),
            *("--username", str(parts.username), "--dbname", name, "--no-password", "--inserts"),
        ],
        check=True,
        capture_output=True,
        env={**os.environ, "PGPASSWORD": unquote(parts.password or "")},
    )
    assert b"PostgreSQL database dump complete" in done.stdout
    return done.stdout


def broker(url: str) -> bytes:
    """Every key and value, and so every task that waits with its arguments."""
    client = redis.Redis.from_url(url)
    reads: dict[bytes, Any] = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    found = []
    for key in client.scan_iter(count=1000):
        kind: Any = client.type(key)
        found += [key, _flat(reads[kind](key)) if kind in reads else client.dump(key) or b""]
    return b"\n".join(found)


def _flat(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping):
        return b"\n".join(_flat(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set):
        return b"\n".join(_flat(part) for part in value)
    return str(value).encode()
