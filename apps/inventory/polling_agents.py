"""Which agents poll which device. The app agents registers a provider, because the inventory must not import it."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple
from uuid import UUID

from agent.collectors.registry import has_collector


class PollingAgent(NamedTuple):
    """An agent that polls a device. An unapproved host of an agent receives no credentials."""

    agent_id: UUID
    name: str
    is_host_approved: bool
    #: As its last heartbeat reported them.
    capabilities: Collection[str] = ()

    def has_collector(self, name: str) -> bool:
        """Whether it can poll devices of this collector."""
        return has_collector(self.capabilities, name)


PollingAgents = Mapping[UUID, Collection[PollingAgent]]
#: Returns the agents that poll these devices (None: all devices).
Provider = Callable[[Collection[UUID] | None], PollingAgents]

_providers: list[Provider] = []


def register_polling_agents(provider: Provider) -> None:
    """Register a callable that returns the polling agents of devices of the current tenant."""
    _providers.append(provider)


def polling_agents_of(device_ids: Collection[UUID] | None = None) -> dict[UUID, list[PollingAgent]]:
    """The agents that poll these devices, by name; a device without one is absent."""
    agents: dict[UUID, list[PollingAgent]] = {}
    for provider in _providers:
        for device_id, polling_agents in provider(device_ids).items():
            agents.setdefault(device_id, []).extend(polling_agents)
    return {pk: sorted(rows, key=lambda row: row.name) for pk, rows in agents.items()}
