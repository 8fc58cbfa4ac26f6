"""Durations in words."""

from datetime import datetime

from django.utils.translation import gettext as _


def format_duration(start: datetime, end: datetime) -> str:
    """The time between two moments: 34 s, 5 min, 2 h 10 min, 3 d 4 h."""
    return format_seconds((end - start).total_seconds())


def format_seconds(number: float) -> str:
    """A number of seconds as a duration."""
    seconds = max(0, int(number))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 2:  # noqa: PLR2004
        return _("%(seconds)d s") % {"seconds": seconds}
    if not hours:
        return _("%(minutes)d min") % {"minutes": minutes}
    if not days:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes % 60}
    return _("%(days)d d %(hours)d h") % {"days": days, "hours": hours % 24}
