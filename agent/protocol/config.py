"""The answer of ``GET /ingest/v1/config``: everything an agent needs to work on its own."""

from typing import NotRequired, TypedDict


class Credential(TypedDict):
    """A router login; the password opens only with the agent's sealing key (see ``sealing``)."""

    username: str
    sealed_password: str


class NamedCredential(Credential):
    """One of several logins, with the id of its credential set."""

    credential_set: str


class Profile(TypedDict):
    """Seconds between two readings of each tier, and the bound of one command."""

    fast_s: float
    medium_s: float
    slow_s: float
    daily_s: float
    command_timeout_s: float


class Expected(TypedDict):
    """What the server knows of a router. RouterOS 7 stops listing a neighbour whose interface went down: the agent
    then reports it as down instead of falling silent."""

    ospf_neighbors: list[dict[str, str]]
    bgp_peers: list[dict[str, str]]
    services: list[dict[str, str]]


class DeviceConfig(TypedDict):
    """One router to poll."""

    id: str
    name: str
    address: str
    port: int
    tls: bool
    #: The best login. Servers of before know no other.
    credential: Credential | None
    #: Every login to try, best first; the first is ``credential``.
    credentials: NotRequired[list[NamedCredential]]
    #: There are logins, and the server holds them back: nobody has approved where they would go.
    login_held: NotRequired[bool]
    #: SHA-256 of the certificate that the router must present over TLS. None: the first accepted one is reported.
    tls_certificate: NotRequired[str | None]
    profile: Profile
    expected: Expected


class ProbeTargetConfig(TypedDict):
    """One thing to probe; ``device_id`` says whose reachability it speaks for."""

    id: str
    device_id: str | None
    method: str
    address: str
    port: int | None
    interval_s: float
    count: int
    timeout_s: float


class AgentIdentity(TypedDict):
    id: str
    name: str


class Limits(TypedDict):
    max_batch_metrics: int
    flush_seconds: float


class AgentConfig(TypedDict):
    """The whole assignment of one agent; ``version`` is its ETag."""

    version: str
    agent: AgentIdentity
    limits: Limits
    heartbeat_seconds: float
    ca_pem: str
    next_ca_pem: str | None
    devices: list[DeviceConfig]
    probe_targets: list[ProbeTargetConfig]
    syslog_sources: NotRequired[list[dict[str, str]]]
