"""Row limits of limited members: per model, the rows that belong to the sites and devices granted to them.

Apps register a limit for each of their models at start. Limited members see no rows of a model without one.
"""

from collections.abc import Callable
from uuid import UUID

from django.db.models import Model, Q

#: User id -> condition of the visible rows.
Limit = Callable[[UUID], Q]

NOTHING = Q(pk__in=[])
_limits: dict[type[Model], Limit] = {}


def limit_rows(model: type[Model], limit: Limit) -> None:
    """Register which rows of a model a limited member sees. Called once per model, when apps start."""
    if model in _limits:
        raise RuntimeError(f"{model.__name__} already has a limit.")
    _limits[model] = limit


def tenant_wide(user_id: UUID) -> Q:  # noqa: ARG001  (the signature of a limit)
    """For models whose rows concern the whole tenant and name no site or device."""
    return Q()


def rows_within(model: type[Model], user_id: UUID) -> Q:
    """The condition of the rows that this limited member sees."""
    limit = _limits.get(model)
    return NOTHING if limit is None else limit(user_id)
