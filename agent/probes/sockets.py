"""The sockets of the probes: one per address family for all UDP echoes, one per TCP connection attempt."""

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

TOKEN_BYTES = 16
_MAGIC = b"ISPVM-probe-echo"
# Linux: the kernel timestamps received datagrams, so that a busy process does not make a link look slow.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")
_RECEIVE_BYTES = 2**22
_CONTROL_BYTES = 64
_MAX_DATAGRAM = 512


@dataclass(frozen=True)
class Reply:
    """An echo reply: its token, its sender, and its time by the wall clock and by the monotonic clock."""

    token: bytes
    peer: str
    at: float
    monotonic: float


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class EchoSocket:
    """Sends datagrams with random tokens and receives the replies. Never blocks."""

    def __init__(self, family: socket.AddressFamily, source_address: str) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)  # its only parameter
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        if source_address and family_of(source_address) is family:
            self.socket.bind((source_address, 0))

    def send(self, address: str, port: int) -> bytes | None:
        """The token of the datagram; None when it could not be sent, which counts as lost."""
        token = os.urandom(TOKEN_BYTES)
        try:
            self.socket.sendto(_MAGIC + token, (address, port))
        except OSError:
            return None
        return token

    def replies(self) -> Iterator[Reply]:
        """All replies received so far."""
        while True:
            try:
                data, control, _, peer = self.socket.recvmsg(_MAX_DATAGRAM, _CONTROL_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of one target; other datagrams may follow
            if len(data) == len(_MAGIC) + TOKEN_BYTES and data.startswith(_MAGIC):
                at = _kernel_time(control) or time.time()
                yield Reply(data[len(_MAGIC) :], peer[0], at, time.monotonic())

    def close(self) -> None:
        self.socket.close()


def begin_connect(address: str, port: int, source_address: str) -> socket.socket | None:
    """A non-blocking TCP connection attempt; None when it fails at once."""
    family = family_of(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)  # its only parameter
    try:
        if source_address and family_of(source_address) is family:
            sock.bind((source_address, 0))
        sock.connect((address, port))
    except BlockingIOError:
        return sock
    except OSError:
        sock.close()
        return None
    return sock


def is_connected(sock: socket.socket) -> bool:
    """Whether a finished connection attempt succeeded."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def _kernel_time(control: list[tuple[int, int, bytes]]) -> float | None:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return float(seconds + nanoseconds / 1e9)
    return None
