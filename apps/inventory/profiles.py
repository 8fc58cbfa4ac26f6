"""Polling profiles: intervals and timeouts of a device."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from agent.protocol.registry import Tier

#: Seconds per polling tier, and the timeout of one command.
DEFAULT_PROFILE: Mapping[str, float] = MappingProxyType(
    {"fast_s": 10, "medium_s": 60, "slow_s": 300, "daily_s": 86_400, "command_timeout_s": 8}
)
_BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "fast_s": (1, 300),
        "medium_s": (5, 3_600),
        "slow_s": (30, 86_400),
        "daily_s": (3_600, 604_800),
        "command_timeout_s": (1, 60),
    }
)
MAX_TAGS, MAX_TAG_LENGTH = 50, 60


_NAMES: Mapping[Tier, str] = MappingProxyType(
    {Tier.FAST: "fast_s", Tier.MEDIUM: "medium_s", Tier.SLOW: "slow_s", Tier.DAILY: "daily_s"}
)


def poll_seconds(overrides: Mapping[str, float], tier: Tier) -> float:
    """The polling interval of a tier in a device's profile."""
    return polling_profile(overrides)[_NAMES[tier]]


def polling_profile(overrides: Mapping[str, float]) -> dict[str, float]:
    """The complete profile of a device: the defaults with its overrides."""
    return {**DEFAULT_PROFILE, **overrides}


def validate_polling_profile(value: Any) -> None:
    """Known names with seconds in bounds; raises Django's ValidationError."""
    if not isinstance(value, dict):
        raise ValidationError(_("A polling profile is an object of seconds."), code="invalid")
    for name, seconds in value.items():
        if name not in _BOUNDS:
            raise ValidationError(
                _("A polling profile has no %(name)s."), code="invalid", params={"name": name}
            )
        low, high = _BOUNDS[name]
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not number or not low <= seconds <= high:
            raise ValidationError(
                _("%(name)s is between %(low)s and %(high)s seconds."),
                code="invalid",
                params={"name": name, "low": low, "high": high},
            )


def validate_tags(value: Any) -> None:
    """A short list of distinct short strings; raises Django's ValidationError."""
    if (
        not isinstance(value, list)
        or len(value) > MAX_TAGS
        or not all(isinstance(tag, str) and 0 < len(tag) <= MAX_TAG_LENGTH for tag in value)
        or len(set(value)) != len(value)
    ):
        raise ValidationError(
            _("Tags are up to %(count)s different words of up to %(length)s characters."),
            code="invalid",
            params={"count": MAX_TAGS, "length": MAX_TAG_LENGTH},
        )
