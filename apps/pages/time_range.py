"""The span of time that a screen shows, as the address says it: ``?range=24h`` or ``?from=...&to=...``."""

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
    """One preset of the picker."""

    value: str
    query: str
    is_chosen: bool


@dataclass(frozen=True)
class TimeSpan:
    """From a moment to a later one; ``preset`` is empty for a span of one's own."""

    start: datetime
    end: datetime
    preset: str
    #: What else stands in the address and has to stay there.
    kept: Mapping[str, str]

    @property
    def choices(self) -> tuple[RangeChoice, ...]:
        """The presets, each with the address that chooses it."""
        return tuple(
            RangeChoice(name, urlencode({**self.kept, "range": name}), name == self.preset)
            for name in PRESETS
        )

    @property
    def query(self) -> str:
        """This very span, as an address says it."""
        if self.preset:
            return urlencode({"range": self.preset})
        return urlencode({"from": _text(self.start), "to": _text(self.end)})

    @property
    def label(self) -> str:
        """In words, for a heading."""
        if self.preset:
            return _("last %(range)s") % {"range": self.preset}
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"


def asked_span(
    asked: Mapping[str, str], *, at: datetime, default: str, keep: tuple[str, ...] = ()
) -> TimeSpan:
    """What the address asks for; what cannot be read, lies ahead or is out of proportion is the default."""
    kept = {name: asked[name] for name in keep if asked.get(name)}
    start, end = _moment(asked.get("from", "")), _moment(asked.get("to", ""))
    if start and end and SHORTEST <= end - start <= LONGEST and start < at:
        return TimeSpan(start, min(end, at), "", kept)
    preset = asked.get("range", "")
    preset = preset if preset in PRESETS else default
    return TimeSpan(at - PRESETS[preset], at, preset, kept)


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
