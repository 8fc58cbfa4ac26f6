"""One kept session with a router. Each login is a line in the router's log, so there are few."""

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from routeros_api.exceptions import RouterOsApiError
from routeros_api.sentence import ResponseSentence

from agent.collectors.errors import Gone, LoginRefused, Trapped
from agent.collectors.routeros.transport import RouterConnection, open_connection

log = logging.getLogger(__name__)

Row = dict[str, str]

MAX_ROWS = 100_000
_MISSING = re.compile(r"no such command|not enough permissions|unknown command|bad command name")


@dataclass(frozen=True)
class Login:
    """How to reach a router."""

    address: str
    port: int
    use_tls: bool
    username: str
    password: str = field(repr=False)
    source_address: str = ""
    #: SHA-256 of the TLS certificate that it must present; empty: the first one is taken.
    certificate: str = ""


@dataclass
class Load:
    """The load that we caused."""

    commands: int = 0
    rows: int = 0
    logins: int = 0


@dataclass(frozen=True)
class Reply:
    """The rows of an answer, and the value after its end if there was one (``count-only``)."""

    rows: list[Row]
    ret: str | None


class RouterSession:
    """Commands to one router, one after the other; for one thread at a time.

    Anything that puts the stream in doubt (timeout, bytes that are no sentence, a tag that is not ours, ``!fatal``)
    drops the connection: an answer that comes late must never be taken for the next command's.
    """

    def __init__(self, login: Login) -> None:
        self.login = login
        self.load = Load()
        self._connection: RouterConnection | None = None
        self._tag = 0
        self._deadline = self._patience = 0.0
        self._missing: set[str] = set()
        #: SHA-256 of the certificate with which the router took the login; empty without TLS.
        self.certificate = ""

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def begin(self, patience: float) -> None:
        """A new poll: each command has this long, all of them until the next ``begin`` twice that.

        Raises Gone, LoginRefused, CertificateChanged.
        """
        self._patience = patience
        self._deadline = time.monotonic() + 2 * patience
        self.load = Load()
        if self._connection is None:
            self._open(patience)

    def close(self) -> None:
        """The connection is dropped without a word; RouterOS notices by itself."""
        if self._connection is not None:
            self._connection.socket.close()
            self._connection = None

    def abort(self) -> None:
        """Make a command that another thread waits for fail now."""
        connection = self._connection
        if connection is not None:
            connection.socket.abort()

    def print(
        self, menu: str, proplist: Sequence[str] = (), queries: Sequence[str] = ()
    ) -> list[Row] | None:
        """The rows of a menu; None when this router has no such menu or does not let us look, or not now.

        Raises Gone.
        """
        words = [f"=.proplist={','.join(proplist)}"] if proplist else []
        reply = self._ask(menu, [*words, *queries])
        return None if reply is None else reply.rows

    def count(self, menu: str, queries: Sequence[str] = ()) -> int | None:
        """How many rows a menu has, without reading them. None as ``print``. Raises Gone."""
        reply = self._ask(menu, ["=count-only=", *queries])
        try:
            return None if reply is None or reply.ret is None else int(reply.ret)
        except ValueError:
            return None

    def _ask(self, menu: str, words: Sequence[str]) -> Reply | None:
        if menu in self._missing:
            return None
        try:
            return self.command(f"{menu}/print", words)
        except Trapped as trap:
            if any(_MISSING.search(message) for message in trap.messages):
                # Until the next login: an upgrade or another policy ends the session anyway.
                self._missing.add(menu)
                log.info("menu not available", extra={"menu": menu, "router": self.login.address})
            else:
                log.warning("command refused", extra={"said": str(trap)})
            return None

    def command(self, path: str, words: Sequence[str] = ()) -> Reply:
        """One command and its whole answer. Raises Trapped, Gone."""
        if self._connection is None:
            raise Gone("There is no connection to the router.")
        left = self._deadline - time.monotonic()
        self._connection.socket.allow(min(left, self._patience))
        self.load.commands += 1
        try:
            return self._exchange(self._connection, path, words)
        except Gone:
            self.close()
            raise

    def _open(self, seconds: float) -> None:
        login = self.login
        self._connection = open_connection(
            login.address,
            login.port,
            use_tls=login.use_tls,
            source_address=login.source_address,
            seconds=seconds,
            certificate=login.certificate,
        )
        self._missing.clear()
        self.load.logins += 1
        try:
            reply = self.command(
                "/login", [f"=name={login.username}", f"=password={login.password}"]
            )
        except Trapped as trap:
            self.close()
            said = "; ".join(trap.messages)
            raise LoginRefused(f"The router refused the login: {said}") from None
        if reply.ret is not None:
            self.close()
            raise LoginRefused("The router wants the login of versions before 6.43.")
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
            answer = _parse(connection.receive_sentence())
            if answer.tag != tag.encode():
                raise Gone("The router answered something that was not asked.")
            said = {decoded(key): decoded(value) for key, value in answer.attributes.items()}
            if answer.type == b"re":
                rows.append(said)
                self.load.rows += 1
                if len(rows) > MAX_ROWS:
                    raise Gone("The router sent too many rows.")
            elif answer.type == b"trap":
                traps.append((said.get("message", ""), said.get("category", "")))
            elif answer.type == b"done":
                return _finished(path, Reply(rows, said.get("ret")), traps)


def _finished(path: str, reply: Reply, traps: list[tuple[str, str]]) -> Reply:
    # v7 refuses one command with two traps; the first names what is missing.
    if traps:
        raise Trapped(path, tuple(message for message, _ in traps), traps[0][1])
    return reply


def _parse(sentence: list[bytes]) -> ResponseSentence:
    if sentence[0] == b"!fatal":
        # The reason is a bare word, which the library takes for a malformed attribute.
        reason = b" ".join(sentence[1:]).decode("utf-8", "backslashreplace")
        raise Gone(f"The router ended the session: {reason[:200]}")
    try:
        return ResponseSentence.parse(sentence)
    except RouterOsApiError as error:
        raise Gone("The router sent something that is no answer.") from error


def decoded(raw: bytes) -> str:
    """RouterOS names no charset: UTF-8 where it is, else WinBox's code page, as Latin-1. NUL is left out."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\x00", "")
