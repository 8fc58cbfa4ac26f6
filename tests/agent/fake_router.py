"""A router on loopback with configurable replies, valid or hostile."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from routeros_api.base_api import encode_length

from agent.protocol.sealing import seal_for
from agent.state import public_bytes

PASSWORD = "not-a-secret"
DEVICE_ID = "5b0c8a36-4f2e-4a59-9a3e-0d3b6f1a2c4d"

Sentence = list[str]


def encode(*sentences: Sentence) -> bytes:
    words = [[*sentence, ""] for sentence in sentences]
    return b"".join(
        encode_length(len(raw)) + raw
        for sentence in words
        for raw in (word.encode("utf-8", "surrogateescape") for word in sentence)
    )


def rows(*replies: dict[str, str]) -> list[Sentence]:
    sentences = [["!re", *(f"={key}={value}" for key, value in row.items())] for row in replies]
    return [*sentences, ["!done"]]


MISSING = [
    ["!trap", "=message=no such command or directory (caps-man)"],
    ["!trap", "=message=no such command prefix"],
    ["!done"],
]


class FakeRouter:
    """``menus`` maps a path to sentences; ``hostile`` handles the connection after the login."""

    def __init__(
        self,
        menus: dict[str, list[Sentence]] | None = None,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.menus = menus or {}
        self.hostile: Callable[[socket.socket], None] | None = None
        self.on_connect: Callable[[socket.socket], None] | None = None
        self.commands: list[Sentence] = []
        self.logins = 0
        self.peers: list[str] = []
        self.stop = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((address, port))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, peer = self._listener.accept()
                self.peers.append(peer[0])
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:
            if self.on_connect is not None:
                self.on_connect(connection)
                return
            reader = connection.makefile("rb")
            with reader:
                while sentence := read_sentence(reader):
                    self._reply(connection, sentence)

    def _reply(self, connection: socket.socket, sentence: Sentence) -> None:
        self.commands.append(sentence)
        tag = next((word for word in sentence if word.startswith(".tag=")), None)
        path = sentence[0]
        if path == "/login":
            self.logins += 1
            is_valid = f"=password={PASSWORD}" in sentence
            refusal = [["!trap", "=message=invalid user name or password (6)"], ["!done"]]
            reply = [["!done"]] if is_valid else refusal
        elif self.hostile is not None:
            self.hostile(connection)
            return
        else:
            reply = _matching(self.menus.get(path, MISSING), sentence)
            if "=count-only=" in sentence:
                reply = [["!done", f"=ret={len(reply) - 1}"]]
        connection.sendall(encode(*([*words, tag] if tag else words for words in reply)))

    def close(self) -> None:
        self.stop.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(300)


def _matching(reply: list[Sentence], request: Sentence) -> list[Sentence]:
    """The rows that have every value that the request asks for, or with ``?#!`` the others. A router compares with the
    empty text where a row has none."""
    queries = [word[1:] for word in request if word.startswith("?")]
    wanted = [query.partition("=") for query in queries if query != "#!"]
    is_negated = "#!" in queries
    return [
        words
        for words in reply
        if words[0] != "!re"
        or all(_value(words, name) == value for name, _, value in wanted) != is_negated
    ]


def _value(words: Sentence, name: str) -> str:
    found = (word for word in words if word.startswith(f"={name}="))
    return next(found, "").removeprefix(f"={name}=")


def read_sentence(reader) -> Sentence:
    words = []
    while head := reader.read(1):
        length = head[0]
        if length >= 0x80:
            length = (length & 0x3F) << 8 | reader.read(1)[0]
        if length == 0:
            return words
        words.append(reader.read(length).decode("utf-8", "surrogateescape"))
    return []


def wait_for(seconds: float, router: FakeRouter) -> None:
    router.stop.wait(seconds)


def device_config(
    key: X25519PrivateKey,
    port: int,
    *,
    password: str = PASSWORD,
    device_id: str = DEVICE_ID,
    fast: float = 0.2,
    command_timeout: float = 0.5,
    **expected,
):
    sealed = seal_for(public_bytes(key), password.encode(), device_id)
    return {
        "id": device_id,
        "name": f"cr-{device_id[:4]}",
        "address": "127.0.0.1",
        "port": port,
        "tls": False,
        "credential": {"username": "monitor", "sealed_password": sealed},
        "profile": {
            "fast_s": fast,
            "medium_s": 60,
            "slow_s": 300,
            "daily_s": 86_400,
            "command_timeout_s": command_timeout,
        },
        "expected": {"ospf_neighbors": [], "bgp_peers": [], "services": [], **expected},
    }


OSPF_ROW = {
    ".id": "*F3FED9A8",
    "instance": "default-v2",
    "area": "backbone",
    "address": "10.0.0.74",
    "router-id": "10.1.0.165",
    "state": "Full",
    "state-changes": "4",
    "adjacency": "1h49m55s",
}
MENUS = {
    "/system/identity/print": rows({"name": "cr1"}),
    "/system/resource/print": rows(
        {
            "uptime": "1w2d3h",
            "version": "7.19.4 (stable)",
            "cpu-load": "12",
            "free-memory": "600",
            "total-memory": "1000",
            "board-name": "CCR2004",
        }
    ),
    "/interface/print": rows(
        {"name": "ether1", "type": "ether", "running": "true", "disabled": "false", "rx-byte": "7"},
        {"name": "ether2", "type": "ether", "running": "false", "disabled": "true"},
        {"name": "<pppoe-home1>", "type": "pppoe-in", "dynamic": "true", "running": "true"},
    ),
    "/routing/ospf/neighbor/print": rows(OSPF_ROW),
    "/routing/bgp/connection/print": rows(
        {"name": "transit", "remote.address": "192.0.2.1/32", "remote.as": "64500", "as": "64496"},
        {"name": "never", "remote.address": "192.0.2.2/32", "remote.as": "64501", "as": "64496"},
    ),
    "/routing/bgp/session/print": rows(
        {
            "name": "transit-1",
            "remote.address": "192.0.2.1",
            "remote.as": "64500",
            "established": "true",
            "ebgp": "",
            "uptime": "53m10s720ms",
            "prefix-count": "900",
        }
    ),
    "/interface/pppoe-server/server/print": rows({"service-name": "home"}),
    "/ppp/active/print": rows({"name": "a", "service": "pppoe"}, {"name": "b", "service": "pppoe"}),
}
