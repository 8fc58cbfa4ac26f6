from apps.core.errors import DomainError, NotVisible


class GroupInvalid(DomainError):
    """A group that means nothing: no members, itself as a member, k out of range, ids that are not there."""

    default_code = "group_invalid"


__all__ = ["GroupInvalid", "NotVisible"]
