"""What a collector does: the module ``collector`` of its folder has ``open_session``."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from agent.collectors.errors import CollectorMissing
from agent.collectors.logins import DecryptedLogin
from agent.collectors.registry import COLLECTORS
from agent.normalize.readings import DeviceReading, Reading
from agent.protocol.registry import Tier


@dataclass(frozen=True)
class Endpoint:
    """Where a device is polled."""

    address: str
    port: int
    use_tls: bool
    #: The local address of the connection; empty: chosen by the routing table.
    source_address: str = ""
    #: SHA-256 of the TLS certificate that the device must present; empty: any certificate is accepted.
    certificate: str = ""


class Session(Protocol):
    """Polls of one device with one login, over one connection as long as it lasts. One thread, except ``abort``."""

    @property
    def certificate(self) -> str:
        """SHA-256 of the TLS certificate at the login; empty without TLS."""

    @property
    def memory(self) -> str | None:
        """What the next session of this device shall know; passed to ``open_session``. None: nothing was learnt."""

    def connect(self, timeout: float, /) -> None:
        """Connect and log in, unless it is connected.

        Raises ConnectionFailed, LoginRefused, CertificateChanged, each within about ``timeout`` seconds.
        """

    def identify(self) -> DeviceReading:
        """Name, version and model, for a connection test; ``connect`` comes before. Raises ConnectionFailed."""

    def poll(self, tiers: Collection[Tier], timeout: float, /) -> Reading:
        """Connect if necessary and read these tiers; ``timeout`` seconds for one command, twice that for all.

        Raises ConnectionFailed, LoginRefused, CertificateChanged.
        """

    def abort(self) -> None:
        """Fail a call that another thread is waiting for."""

    def close(self) -> None:
        """Close the connection. Idempotent; the next call connects again."""


#: Makes a session; connects later. The third argument is the ``memory`` of the device's session before.
OpenSession = Callable[[Endpoint, DecryptedLogin, str | None], Session]


def load_collector(name: str) -> OpenSession:
    """The sessions of a collector, its protocol code imported now. Raises CollectorMissing."""
    if name not in COLLECTORS:
        raise CollectorMissing(name)
    opener: OpenSession = import_module(f"agent.collectors.{name}.collector").open_session
    return opener
