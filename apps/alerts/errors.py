"""Refusals of alerts."""

from apps.core.errors import DomainError


class RuleInvalid(DomainError):
    """A rule that cannot be compiled; ``condition_type_not_supported`` when only its type is ahead of us."""

    default_code = "rule_invalid"


class PackUnknown(DomainError):
    """No such pack ships with the platform."""

    default_code = "unknown_pack"


class OverrideInvalid(DomainError):
    """A change that the rule does not have, or a place that is not there."""

    default_code = "override_invalid"
