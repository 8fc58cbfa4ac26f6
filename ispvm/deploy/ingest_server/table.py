"""Open connections, and which one is closed for a new one. Pure: no sockets, no clock."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar


class Countable(Protocol):
    """A connection as the table sees it."""

    @property
    def address(self) -> str:
        """The source address; empty for the unix socket, whose proxy counts addresses itself."""

    @property
    def certificate(self) -> bytes:
        """DER of the client certificate from the handshake; empty before it and without one."""

    @property
    def is_evictable(self) -> bool:
        """Whether it can be closed without losing a complete request."""

    @property
    def is_idle(self) -> bool:
        """Whether it waits for the next request."""

    @property
    def buffered(self) -> int:
        """Number of bytes of a request that it holds."""


C = TypeVar("C", bound=Countable)
Key = tuple[str, str | bytes]


def _key(connection: Countable) -> Key | None:
    if connection.certificate:
        return ("certificate", connection.certificate)
    return ("address", connection.address) if connection.address else None


class ConnectionTable(Generic[C]):
    """All connections of a process, in the order in which they were accepted or authenticated."""

    def __init__(self, *, total: int, per_address: int, per_certificate: int) -> None:
        self._total = total
        self._limits = {"address": per_address, "certificate": per_certificate}
        self._all: OrderedDict[C, Key | None] = OrderedDict()
        self._groups: dict[Key, OrderedDict[C, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[C]:
        return iter(list(self._all))  # a copy: closing changes the table

    def add(self, connection: C) -> list[C]:
        """Add a connection, or add it again after its handshake; returns those that must be closed for it.

        The newest stays, or an attacker who holds all connections of an address would lock out others there.
        """
        self.remove(connection)
        key = _key(connection)
        self._all[connection] = key
        victims: list[C] = []
        if key is not None:
            group = self._groups.setdefault(key, OrderedDict())
            group[connection] = None
            if len(group) > self._limits[key[0]]:
                victims.append(_least_active(group, connection))
        if not victims and len(self._all) > self._total:
            victims.append(self._victim(connection))
        return victims

    def remove(self, connection: C) -> bool:
        """Remove a connection; whether it was in the table."""
        if connection not in self._all:
            return False
        key = self._all.pop(connection)
        if key is not None:
            group = self._groups[key]
            del group[connection]
            if not group:
                del self._groups[key]
        return True

    def largest_buffer(self) -> C | None:
        """The connection to close when incomplete bodies fill the memory: without certificate first."""
        reading = [one for one in self._all if one.is_evictable and one.buffered]
        return max(reading, key=lambda one: (not one.certificate, one.buffered), default=None)

    def _victim(self, newest: C) -> C:
        for connection, key in self._all.items():
            # Without a certificate, the oldest: a normal handshake takes less time than filling the table.
            if connection.is_evictable and connection is not newest and key and key[0] == "address":
                return connection
        largest_first = sorted(self._groups.values(), key=len, reverse=True)
        for group in largest_first:
            for connection in group:
                if connection.is_idle and connection is not newest:
                    return connection
        return newest


def _least_active(group: Iterable[C], newest: C) -> C:
    """The longest idle of a group, else its oldest that has no complete request; the newest if there is none."""
    others = [one for one in group if one is not newest]
    idle = (one for one in others if one.is_idle)
    return next(idle, next((one for one in others if one.is_evictable), newest))
