"""Which agents read which device: the app of agents registers who knows, because the inventory does not know agents."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple
from uuid import UUID


class Reader(NamedTuple):
    """An agent that reads a device. A host that nobody approved for it is given no login."""

    agent_id: UUID
    name: str
    is_host_approved: bool


Readers = Mapping[UUID, Collection[Reader]]
#: Of these devices (None: of all) the agents that read them.
Provider = Callable[[Collection[UUID] | None], Readers]

_providers: list[Provider] = []


def register_readers(provider: Provider) -> None:
    """Have ``provider`` called for the readers of devices of the current tenant."""
    _providers.append(provider)


def readers_of(device_ids: Collection[UUID] | None = None) -> dict[UUID, list[Reader]]:
    """The agents that read these devices, by name; a device that nobody reads is absent."""
    found: dict[UUID, list[Reader]] = {}
    for provider in _providers:
        for device_id, readers in provider(device_ids).items():
            found.setdefault(device_id, []).extend(readers)
    return {pk: sorted(rows, key=lambda row: row.name) for pk, rows in found.items()}
