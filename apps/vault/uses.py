"""Who uses a credential set: apps above say so when they start, because the vault does not know them."""

from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID


class Use(NamedTuple):
    """Something that needs a credential set."""

    entity_type: str
    entity_id: UUID
    name: str


_providers: list[Callable[[UUID], list[Use]]] = []


def tell_uses(provider: Callable[[UUID], list[Use]]) -> None:
    """Have ``provider`` asked for the uses of a credential set of the current tenant."""
    _providers.append(provider)


def uses_of(credential_set_id: UUID) -> list[Use]:
    """Everything that needs it, by name."""
    return sorted(
        (use for provider in _providers for use in provider(credential_set_id)),
        key=lambda use: (use.entity_type, use.name),
    )
