"""What a limited member sees: per model, which rows stand under what was granted to them.

Apps above say so for their models when they start. A model that nobody spoke for shows a limited member nothing.
"""

from collections.abc import Callable
from uuid import UUID

from django.db.models import Model, Q

#: A user's id -> the rows of the model that they see.
Limit = Callable[[UUID], Q]

NOTHING = Q(pk__in=[])
_limits: dict[type[Model], Limit] = {}


def limit_rows(model: type[Model], limit: Limit) -> None:
    """Say which rows of a model a limited member sees. Called once per model, when apps start."""
    if model in _limits:
        raise RuntimeError(f"{model.__name__} has its limit already.")
    _limits[model] = limit


def not_about_a_place(user_id: UUID) -> Q:  # noqa: ARG001  (the shape of a limit)
    """For rows that are about the tenant as a whole and name nothing in it."""
    return Q()


def rows_within(model: type[Model], user_id: UUID) -> Q:
    """The rows of a model that this limited member sees."""
    limit = _limits.get(model)
    return NOTHING if limit is None else limit(user_id)
