"""Errors of polling a device."""


class DeviceFailed(Exception):
    """The poll failed; the message is for the operator and holds no secret."""

    #: Stable: programs decide by it.
    code = "poll_failed"
    #: A retry cannot succeed until an operator changes something.
    is_permanent = False


class ConnectionFailed(DeviceFailed):
    """No connection, a timeout, or a protocol error: the connection cannot be used any more."""

    code = "connection_failed"


class LoginRefused(DeviceFailed):
    """The device refused the username and password."""

    code = "login_refused"
    is_permanent = True


class LoginHeld(DeviceFailed):
    """The server withholds the logins until their destination is approved."""

    code = "login_held"
    is_permanent = True

    def __init__(self) -> None:
        super().__init__(
            "The login is held: its destination was changed and awaits approval on the server."
        )


class CertificateChanged(DeviceFailed):
    """The router presents another TLS certificate than the one that is pinned; no login was sent."""

    code = "certificate_changed"
    is_permanent = True

    def __init__(self, pinned: str, presented: str) -> None:
        super().__init__(
            f"The router presents another TLS certificate (SHA-256 {presented}); no login was sent."
        )
        self.pinned = pinned
        self.presented = presented


class CollectorMissing(DeviceFailed):
    """The config names a collector that this agent does not have: it is older than the server."""

    code = "collector_missing"
    is_permanent = True

    def __init__(self, name: str) -> None:
        super().__init__(f"This agent has no collector {name[:30]!r}: upgrade the agent.")


class CommandRefused(Exception):
    """The router answered one command with `!trap`; the connection stays usable."""

    def __init__(self, path: str, messages: tuple[str, ...], category: str = "") -> None:
        super().__init__(f"{path}: {'; '.join(messages) or 'refused without a message'}")
        self.path = path
        self.messages = messages
        self.category = category
