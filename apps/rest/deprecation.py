"""Deprecation headers of an endpoint: ``Deprecation`` (RFC 9745) and ``Sunset`` (RFC 8594). Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.http import http_date

#: From the first deprecated response to the removal.
NOTICE = timedelta(days=365)


@dataclass(frozen=True)
class Deprecation:
    """When an operation was deprecated and when it may go. Raises ValueError for less than the notice period."""

    since: datetime
    sunset: datetime

    def __post_init__(self) -> None:
        if self.sunset - self.since < NOTICE:
            raise ValueError("The notice period is one year.")

    def headers(self) -> dict[str, str]:
        return {
            "Deprecation": f"@{int(self.since.timestamp())}",
            "Sunset": http_date(self.sunset.timestamp()),
            "Link": '</api/docs/>; rel="deprecation"',
        }
