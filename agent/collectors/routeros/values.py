"""Parsing of RouterOS values. An invalid value is missing (None), never 0 and never false."""

import re
from datetime import datetime

_TRUE = frozenset({"true", "yes", ""})
_FALSE = frozenset({"false", "no"})
_SECONDS = {
    "w": 604_800.0,
    "d": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "sec": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(sec|ms|us|w|d|h|m|s)")
_CLOCK = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(\d+):(\d{2}):(\d{2})(\.\d+)?")
_INTEGER = re.compile(r"\d{1,20}")
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?")
_COUNTER_LIMIT = 2**64


def boolean(text: str | None) -> bool | None:
    """``true``/``yes``; a switch like ``ebgp`` is present with an empty value, which means true."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None


def flag(text: str | None) -> bool:
    """A flag that is absent while it is not set: ``slave``, ``established``."""
    return text is not None and boolean(text) is True


def duration(text: str | None) -> float | None:
    """Seconds of ``19w4d13h22m21s``, ``53m10s720ms``, ``14ms612us``, ``0.2sec``, ``2d09:29:51``, ``14:40:26``.

    None for ``never``, ``none``, ``infinity`` and anything else.
    """
    if not text:
        return None
    clock = _CLOCK.fullmatch(text)
    if clock:
        weeks, days, hours, minutes, seconds, fraction = clock.groups(default="0")
        total = int(weeks) * 604_800 + int(days) * 86_400 + int(hours) * 3_600
        total += int(minutes) * 60 + int(seconds)
        return total + float(f"0{fraction}" if fraction != "0" else 0)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def integer(text: str | None) -> int | None:
    """A count or a counter: decimal digits, 64 bits."""
    if text is None or not _INTEGER.fullmatch(text):
        return None
    value = int(text)
    return value if value < _COUNTER_LIMIT else None


def number(text: str | None) -> float | None:
    """A decimal number."""
    return float(text) if text is not None and _NUMBER.fullmatch(text) else None


def parse_datetime(text: str | None) -> datetime | None:
    """``2024-10-08 11:14:27`` (7.10 and up) or ``nov/24/2016 21:07:05``: the router's local time, without a zone."""
    for form in ("%Y-%m-%d %H:%M:%S", "%b/%d/%Y %H:%M:%S"):
        try:
            return datetime.strptime(text or "", form)  # noqa: DTZ007  # the zone is in /system/clock
        except ValueError:
            continue
    return None


def as_number(text: str | None) -> int | None:
    """An AS number: ``65530``, or the ``65521/1`` of an AS with an instance."""
    return integer((text or "").partition("/")[0])


def host(text: str | None) -> str:
    """An address without its prefix length and interface: ``10.0.0.1/32`` and ``fe80::1%ether1`` are addresses."""
    return (text or "").partition("/")[0].partition("%")[0]
