"""Domain errors of alerts."""

from apps.core.errors import DomainError


class RuleInvalid(DomainError):
    """A rule that cannot be compiled; ``condition_type_not_supported`` when its condition type is reserved."""

    default_code = "rule_invalid"


class PackUnknown(DomainError):
    """No such pack ships with the platform."""

    default_code = "unknown_pack"


class OverrideInvalid(DomainError):
    """An override of a setting that the rule does not have, or of a target that does not exist."""

    default_code = "override_invalid"
