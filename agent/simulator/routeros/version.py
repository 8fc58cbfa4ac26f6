"""The simulated RouterOS releases. 7.18 and later send `!empty`; 7.20 would add BGP instances."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    """One release, as /system/resource shows it."""

    version: str
    build_time: str
    factory: str
    channel: str = "stable"

    @property
    def is_v6(self) -> bool:
        return self.version.startswith("6.")


V7 = Release("7.19.4", "2025-07-29 10:11:40", factory="7.8")
V6 = Release("6.49.17", "Aug/06/2024 12:21:26", factory="6.46.3")

RELEASES: Mapping[str, Release] = {release.version: release for release in (V6, V7)}
DEFAULT_V6 = ("acc1", "acc2")  # routers that were not upgraded
