"""One persistent session with a router. Each login adds a line to the router's log, so logins are rare."""

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from routeros_api.exceptions import RouterOsApiError
from routeros_api.sentence import ResponseSentence

from agent.collectors.base import Endpoint
from agent.collectors.errors import CommandRefused, ConnectionFailed, LoginRefused
from agent.collectors.logins import DecryptedLogin
from agent.collectors.routeros.transport import RouterConnection, open_connection

log = logging.getLogger(__name__)

Row = dict[str, str]

MAX_ROWS = 100_000
_MISSING_MENU = re.compile(
    r"no such command|not enough permissions|unknown command|bad command name"
)


@dataclass
class Load:
    """The load of a poll on the router."""

    commands: int = 0
    rows: int = 0
    logins: int = 0


@dataclass(frozen=True)
class Reply:
    """The rows of a reply, and the ``ret`` value of ``!done`` if there is one (``count-only``)."""

    rows: list[Row]
    ret: str | None


class RouterSession:
    """Commands to one router, one after the other; one thread at a time.

    A timeout, a malformed sentence, an unknown tag or ``!fatal`` closes the connection: a late reply must never be
    taken for the reply to the next command.
    """

    def __init__(self, endpoint: Endpoint, login: DecryptedLogin) -> None:
        self._endpoint = endpoint
        self._login = login
        self.load = Load()
        self._connection: RouterConnection | None = None
        self._tag = 0
        self._deadline = self._command_timeout = 0.0
        self._missing: set[str] = set()
        #: SHA-256 of the TLS certificate at the login; empty without TLS.
        self.certificate = ""

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def begin(self, command_timeout: float) -> None:
        """Start a poll: ``command_timeout`` seconds for each command, twice that for all until the next ``begin``.

        Raises ConnectionFailed, LoginRefused, CertificateChanged.
        """
        self._command_timeout = command_timeout
        self._deadline = time.monotonic() + 2 * command_timeout
        self.load = Load()
        if self._connection is None:
            self._open(command_timeout)

    def close(self) -> None:
        """Close the connection without ``/quit``; RouterOS ends the session by itself."""
        if self._connection is not None:
            self._connection.socket.close()
            self._connection = None

    def abort(self) -> None:
        """Fail a command that another thread is waiting for."""
        connection = self._connection
        if connection is not None:
            connection.socket.abort()

    def print(
        self, menu: str, proplist: Sequence[str] = (), queries: Sequence[str] = ()
    ) -> list[Row] | None:
        """The rows of a menu; None when the router has no such menu or refuses the command.

        Raises ConnectionFailed.
        """
        words = [f"=.proplist={','.join(proplist)}"] if proplist else []
        reply = self._print(menu, [*words, *queries])
        return None if reply is None else reply.rows

    def count(self, menu: str, queries: Sequence[str] = ()) -> int | None:
        """Number of rows of a menu, without reading them. None as in ``print``. Raises ConnectionFailed."""
        reply = self._print(menu, ["=count-only=", *queries])
        try:
            return None if reply is None or reply.ret is None else int(reply.ret)
        except ValueError:
            return None

    def _print(self, menu: str, words: Sequence[str]) -> Reply | None:
        if menu in self._missing:
            return None
        try:
            return self.command(f"{menu}/print", words)
        except CommandRefused as trap:
            if any(_MISSING_MENU.search(message) for message in trap.messages):
                # Cached until the next login: an upgrade or a changed policy ends the session anyway.
                self._missing.add(menu)
                log.info(
                    "router_menu_unavailable",
                    extra={"menu": menu, "router": self._endpoint.address},
                )
            else:
                log.warning("router_command_refused", extra={"error": str(trap)})
            return None

    def command(self, path: str, words: Sequence[str] = ()) -> Reply:
        """Send one command and read its whole reply. Raises CommandRefused, ConnectionFailed."""
        if self._connection is None:
            raise ConnectionFailed("There is no connection to the router.")
        remaining = self._deadline - time.monotonic()
        self._connection.socket.reset_deadline(min(remaining, self._command_timeout))
        self.load.commands += 1
        try:
            return self._exchange(self._connection, path, words)
        except ConnectionFailed:
            self.close()
            raise

    def _open(self, seconds: float) -> None:
        endpoint, login = self._endpoint, self._login
        self._connection = open_connection(
            endpoint.address,
            endpoint.port,
            use_tls=endpoint.use_tls,
            source_address=endpoint.source_address,
            seconds=seconds,
            certificate=endpoint.certificate,
        )
        self._missing.clear()
        self.load.logins += 1
        try:
            reply = self.command(
                "/login", [f"=name={login.username}", f"=password={login.password}"]
            )
        except CommandRefused as trap:
            self.close()
            messages = "; ".join(trap.messages)
            raise LoginRefused(f"The router refused the login: {messages}") from None
        if reply.ret is not None:
            self.close()
            raise LoginRefused(
                "The router requires the login of versions before 6.43, which is not supported."
            )
        if self._connection is not None:
            self.certificate = self._connection.certificate

    def _exchange(self, connection: RouterConnection, path: str, words: Sequence[str]) -> Reply:
        self._tag += 1
        tag = str(self._tag)
        sentence = [path, *words, f".tag={tag}"]
        connection.send_sentence([word.encode("utf-8", "surrogateescape") for word in sentence])
        rows: list[Row] = []
        traps: list[tuple[str, str]] = []
        while True:
            response = _parse(connection.receive_sentence())
            if response.tag != tag.encode():
                raise ConnectionFailed("The router sent a reply to another command.")
            attributes = {
                decode_text(key): decode_text(value) for key, value in response.attributes.items()
            }
            if response.type == b"re":
                rows.append(attributes)
                self.load.rows += 1
                if len(rows) > MAX_ROWS:
                    raise ConnectionFailed("The router sent too many rows.")
            elif response.type == b"trap":
                traps.append((attributes.get("message", ""), attributes.get("category", "")))
            elif response.type == b"done":
                return _reply_or_raise(path, Reply(rows, attributes.get("ret")), traps)


def _reply_or_raise(path: str, reply: Reply, traps: list[tuple[str, str]]) -> Reply:
    # v7 sends two traps for one refused command; the first names what is missing.
    if traps:
        raise CommandRefused(path, tuple(message for message, _ in traps), traps[0][1])
    return reply


def _parse(sentence: list[bytes]) -> ResponseSentence:
    if sentence[0] == b"!fatal":
        # The reason is a bare word, which the library rejects as a malformed attribute.
        reason = b" ".join(sentence[1:]).decode("utf-8", "backslashreplace")
        raise ConnectionFailed(f"The router ended the session: {reason[:200]}")
    try:
        return ResponseSentence.parse(sentence)
    except RouterOsApiError as error:
        raise ConnectionFailed("The router sent a malformed reply.") from error


def decode_text(raw: bytes) -> str:
    """RouterOS has no charset: try UTF-8, else Latin-1 for WinBox's code page. NUL is removed."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\x00", "")
