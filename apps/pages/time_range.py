"""The time range of a page: ``?range=24h`` or ``?from=...&to=...``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

PRESETS: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
SHORTEST, LONGEST = timedelta(minutes=2), timedelta(days=400)


@dataclass(frozen=True)
class RangeChoice:
    """A preset of the time picker."""

    value: str
    query: str
    is_chosen: bool


@dataclass(frozen=True)
class TimeRange:
    """Start and end; ``preset`` is empty for a custom range."""

    start: datetime
    end: datetime
    preset: str
    #: Other query parameters, which links of the picker keep.
    other_params: Mapping[str, str]

    @property
    def choices(self) -> tuple[RangeChoice, ...]:
        """The presets with their query strings."""
        return tuple(
            RangeChoice(name, urlencode({**self.other_params, "range": name}), name == self.preset)
            for name in PRESETS
        )

    @property
    def query(self) -> str:
        """The range as a query string."""
        if self.preset:
            return urlencode({"range": self.preset})
        return urlencode({"from": _text(self.start), "to": _text(self.end)})

    @property
    def label(self) -> str:
        """The range as text, for a heading."""
        if self.preset:
            return _("last %(range)s") % {"range": self.preset}
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"


def time_range_param(
    params: Mapping[str, str], *, at: datetime, default: str, keep: tuple[str, ...] = ()
) -> TimeRange:
    """The range of the parameters; an unreadable, future, too short or too long one is the default."""
    other_params = {name: params[name] for name in keep if params.get(name)}
    start, end = _moment(params.get("from", "")), _moment(params.get("to", ""))
    if start and end and SHORTEST <= end - start <= LONGEST and start < at:
        return TimeRange(start, min(end, at), "", other_params)
    preset = params.get("range", "")
    preset = preset if preset in PRESETS else default
    return TimeRange(at - PRESETS[preset], at, preset, other_params)


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
