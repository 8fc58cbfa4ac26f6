"""A UDP echo server on loopback for the probes."""

import socket
import threading
from contextlib import suppress


class Echo:
    """Echoes datagrams. ``drop_each`` drops every n-th, ``mangle`` reverses them, ``is_silent`` drops all."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with suppress(
            OSError
        ):  # on a busy machine the datagrams must fit into the buffer until they are read
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        self.socket.bind((address, 0))
        self.address, self.port = self.socket.getsockname()
        self.is_silent = False
        self.drop_each = 0
        self.mangle = False
        self.sources: list[str] = []
        self._received_count = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                data, peer = self.socket.recvfrom(2048)
                if not data:
                    return
                self.sources.append(peer[0])
                self._received_count += 1
                if self.is_silent or (
                    self.drop_each and self._received_count % self.drop_each == 0
                ):
                    continue
                self.socket.sendto(data[::-1] if self.mangle else data, peer)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", (self.address, self.port))
        self._thread.join(300)
        self.socket.close()
