"""How an endpoint says that it will go: ``Deprecation`` (RFC 9745) and ``Sunset`` (RFC 8594). Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.http import http_date

#: From the first answer that says so to the last answer.
NOTICE = timedelta(days=365)


@dataclass(frozen=True)
class Deprecation:
    """Since when a call is deprecated, and from when it may be gone. Raises ValueError for less than the notice."""

    since: datetime
    sunset: datetime

    def __post_init__(self) -> None:
        if self.sunset - self.since < NOTICE:
            raise ValueError("Integrators are given a year.")

    def headers(self) -> dict[str, str]:
        return {
            "Deprecation": f"@{int(self.since.timestamp())}",
            "Sunset": http_date(self.sunset.timestamp()),
            "Link": '</api/docs/>; rel="deprecation"',
        }
