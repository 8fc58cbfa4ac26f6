"""The response of ``GET /ingest/v1/config``: all that an agent needs to work on its own."""

from typing import NotRequired, TypedDict


class Credential(TypedDict):
    """A router login. Only the agent's sealing key decrypts the password (see ``sealing``)."""

    username: str
    sealed_password: str


class NamedCredential(Credential):
    """One of several logins, with the id, the kind and the options of its credential set."""

    credential_set: str
    kind: NotRequired[str]
    options: NotRequired[dict[str, str]]
    #: For kinds with several secrets: all of them by name, as JSON. ``sealed_password`` is then the main one.
    sealed_secrets: NotRequired[str]


class Profile(TypedDict):
    """Polling interval of each tier, and the timeout of one command."""

    fast_s: float
    medium_s: float
    slow_s: float
    daily_s: float
    command_timeout_s: float


class Expected(TypedDict):
    """Entities of a router that the server knows. RouterOS 7 stops listing a neighbor whose interface is down; the
    agent then reports that neighbor as down."""

    ospf_neighbors: list[dict[str, str]]
    bgp_peers: list[dict[str, str]]
    services: list[dict[str, str]]


class DeviceConfig(TypedDict):
    """One router to poll."""

    id: str
    name: str
    #: The vendor and protocol. Servers before 0.2 know only RouterOS and do not send it.
    collector: NotRequired[str]
    address: str
    port: int
    tls: bool
    #: The preferred login. Older servers send only this one.
    credential: Credential | None
    #: All logins in the order of preference; the first is ``credential``.
    credentials: NotRequired[list[NamedCredential]]
    #: The server withholds the logins until their destination is approved.
    login_held: NotRequired[bool]
    #: SHA-256 of the pinned TLS certificate of the router. None: the first accepted one is reported.
    tls_certificate: NotRequired[str | None]
    profile: Profile
    expected: Expected


class ProbeTargetConfig(TypedDict):
    """One target to probe. Its result counts for the reachability of ``device_id``."""

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
    """The whole config of one agent; ``version`` is its ETag."""

    version: str
    agent: AgentIdentity
    limits: Limits
    heartbeat_seconds: float
    ca_pem: str
    next_ca_pem: str | None
    devices: list[DeviceConfig]
    probe_targets: list[ProbeTargetConfig]
    syslog_sources: NotRequired[list[dict[str, str]]]
