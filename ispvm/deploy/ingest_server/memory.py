"""Buffers of request bodies: in chunks of one size, counted in total and by sender."""

from collections import Counter, deque
from collections.abc import Hashable, Iterator

CHUNK_SIZE = 64 * 1024


class Body:
    """The bytes of one request until the parser reads them.

    A TLS record may carry a single byte: one object per record would use many times that memory.
    """

    def __init__(self) -> None:
        #: Bytes added since it was cleared, including those that were read.
        self.size = 0
        self._chunks: deque[bytes] = deque()
        self._tail = bytearray()

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self._tail += data
        while len(self._tail) >= CHUNK_SIZE:
            self._chunks.append(bytes(self._tail[:CHUNK_SIZE]))
            del self._tail[:CHUNK_SIZE]

    def unread(self) -> Iterator[bytes]:
        """Remove and yield the bytes, including those that are added meanwhile."""
        while self._chunks or self._tail:
            if self._chunks:
                yield self._chunks.popleft()
            else:
                tail, self._tail = bytes(self._tail), bytearray()
                yield tail

    def clear(self) -> None:
        self.size = 0
        self._chunks.clear()
        self._tail = bytearray()


class Buffered:
    """Number of request bytes that all connections of the process hold."""

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
        """Count bytes for a sender; a negative count releases them. An empty sender is counted in the total only."""
        self.size += count
        if sender:
            self._senders[sender] += count
            if not self._senders[sender]:
                del self._senders[sender]
