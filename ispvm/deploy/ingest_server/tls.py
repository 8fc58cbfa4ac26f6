"""The TLS context of the listener: reloads its files when they change, so a renewed certificate needs no restart."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from gunicorn.sock import ssl_context

log = structlog.get_logger(__name__)

#: OpenSSL caches TLS 1.2 sessions in the context, and Python cannot disable that: a new context bounds the cache.
HANDSHAKES_PER_CONTEXT = 1000


class TlsContext:
    """One context for many handshakes, reloaded when a file changes."""

    def __init__(self, config: Any, build: Callable[[Any], ssl.SSLContext] = ssl_context) -> None:
        self._config = config
        self._build = build
        self._files = tuple(filter(None, (config.certfile, config.keyfile, config.ca_certs)))
        self._context: ssl.SSLContext | None = None
        self._signature: tuple[tuple[int, int, int], ...] = ()
        self._handshakes = 0

    def current(self) -> ssl.SSLContext:
        """The context for the next handshake. Raises OSError (SSLError) if the files were never readable."""
        self._handshakes += 1
        try:
            signature = tuple(map(_signature_of, self._files))
            if (
                self._context is None
                or signature != self._signature
                or self._handshakes > HANDSHAKES_PER_CONTEXT
            ):
                self._context = self._new_context()
                self._signature, self._handshakes = signature, 0
        except OSError as error:
            # Chain and key are replaced one after the other: in between they do not match.
            if self._context is None:
                raise
            log.warning("listener_certificate_unreadable", error=str(error))
        return self._context

    def _new_context(self) -> ssl.SSLContext:
        context = self._build(self._config)
        # As in the shipped nginx: each connection must prove again that the client holds its certificate's key.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
        return context


def _signature_of(path: str) -> tuple[int, int, int]:
    status = Path(path).stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
