"""What uses a credential set. Apps above register a provider at start, because the vault must not import them."""

from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID


class Usage(NamedTuple):
    """An object that uses a credential set."""

    entity_type: str
    entity_id: UUID
    name: str


_providers: list[Callable[[UUID], list[Usage]]] = []


def register_usage_provider(provider: Callable[[UUID], list[Usage]]) -> None:
    """Register a callable that lists the usages of a credential set of the current tenant."""
    _providers.append(provider)


def usages_of(credential_set_id: UUID) -> list[Usage]:
    """Everything that uses it, sorted by name."""
    return sorted(
        (usage for provider in _providers for usage in provider(credential_set_id)),
        key=lambda usage: (usage.entity_type, usage.name),
    )
