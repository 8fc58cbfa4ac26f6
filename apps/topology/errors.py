from apps.core.errors import DomainError, NotVisible


class GroupInvalid(DomainError):
    """An invalid group: no members, the dependent as a member, k out of range, unknown ids."""

    default_code = "group_invalid"


__all__ = ["GroupInvalid", "NotVisible"]
