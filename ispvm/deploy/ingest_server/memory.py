"""What the bodies of a process hold: in pieces of one size, counted in all and by sender."""

from collections import Counter, deque
from collections.abc import Hashable, Iterator

PIECE = 64 * 1024


class Body:
    """The bytes of one request until the parser reads them.

    A TLS record may carry a single byte: an object for each would take many times what it holds.
    """

    def __init__(self) -> None:
        #: Bytes added since it was cleared, also those that were read.
        self.size = 0
        self._pieces: deque[bytes] = deque()
        self._tail = bytearray()

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self._tail += data
        while len(self._tail) >= PIECE:
            self._pieces.append(bytes(self._tail[:PIECE]))
            del self._tail[:PIECE]

    def unread(self) -> Iterator[bytes]:
        """Take the bytes out, also those that are added meanwhile."""
        while self._pieces or self._tail:
            if self._pieces:
                yield self._pieces.popleft()
            else:
                tail, self._tail = bytes(self._tail), bytearray()
                yield tail

    def clear(self) -> None:
        self.size = 0
        self._pieces.clear()
        self._tail = bytearray()


class Buffered:
    """How many bytes of requests all connections of the process hold."""

    def __init__(self) -> None:
        self.size = 0
        #: Of these, the bytes of complete requests.
        self.complete = 0
        self._senders: Counter[Hashable] = Counter()

    @property
    def incomplete(self) -> int:
        return self.size - self.complete

    def of(self, sender: Hashable) -> int:
        return self._senders[sender] if sender else 0

    def add(self, sender: Hashable, count: int) -> None:
        """Count bytes for a sender; negative ones are given back. An empty sender has no share."""
        self.size += count
        if sender:
            self._senders[sender] += count
            if not self._senders[sender]:
                del self._senders[sender]
