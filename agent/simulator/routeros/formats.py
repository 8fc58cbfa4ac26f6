"""Formats of RouterOS values: `3w4d13h22m21s`, `true`, dates in the router's local time."""

from datetime import UTC, datetime, timedelta

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
UNITS = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def duration(length: timedelta) -> str:
    """Whole seconds, the largest unit first; units that are zero are left out."""
    rest = max(0, int(length.total_seconds()))
    text = ""
    for unit, seconds in UNITS:
        count, rest = divmod(rest, seconds)
        if count:
            text += f"{count}{unit}"
    return text or "0s"


def precise_duration(length: timedelta) -> str:
    """With milliseconds in steps of ten, as v7 prints the uptime of routing sessions (`4s70ms`)."""
    milliseconds = max(timedelta(0), length) // timedelta(milliseconds=10) % 100 * 10
    whole = duration(length)
    if not milliseconds:
        return whole
    return ("" if whole == "0s" else whole) + f"{milliseconds}ms"


def boolean(value: object) -> str:
    return "true" if value else "false"


def local_time(at: datetime, offset: timedelta) -> datetime:
    return at.astimezone(UTC) + offset


def timestamp(at: datetime, offset: timedelta, *, is_v6: bool = False) -> str:
    """Local time without a zone: /system/clock has the offset.

    ISO since 7.10; before that `mar/01/2026 15:00:00`, in English whatever the locale.
    """
    if is_v6:
        local = local_time(at, offset)
        return f"{MONTHS[local.month - 1]}/{local:%d/%Y %H:%M:%S}"
    return f"{local_time(at, offset):%Y-%m-%d %H:%M:%S}"


def gmt_offset(offset: timedelta) -> str:
    minutes = int(offset.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
