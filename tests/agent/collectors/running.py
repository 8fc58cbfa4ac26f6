"""A device that a collector can poll in a test."""

from dataclasses import dataclass, field


@dataclass
class RunningDevice:
    """A device on loopback with the login that it accepts. ``secrets`` has the main secret of the kind."""

    port: int
    kind: str
    secrets: dict[str, str]
    username: str = ""
    options: dict[str, str] = field(default_factory=dict)
