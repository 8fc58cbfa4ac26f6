"""Refusals of the inventory."""

from apps.core.errors import Conflict, NotVisible


class NameTaken(Conflict):
    """Something else in this tenant already goes by that name."""

    default_code = "name_taken"


class InterfaceTaken(Conflict):
    """The port already ends another link."""

    default_code = "interface_taken"


class InUse(Conflict):
    """Other rows depend on it and would be left hanging."""

    default_code = "in_use"


__all__ = ["InUse", "InterfaceTaken", "NameTaken", "NotVisible"]
