"""How asking a device can fail."""


class DeviceFailed(Exception):
    """The device cannot be asked now; its text is for the operator and holds no secret."""

    #: Trying again soon cannot help: somebody has to change something.
    is_lasting = False


class Gone(DeviceFailed):
    """No connection, too slow, or not the protocol: the connection is of no use any more."""


class LoginRefused(DeviceFailed):
    """The device does not take this name and password."""

    is_lasting = True


class LoginHeld(DeviceFailed):
    """The server gives no login: nobody has approved where it would go."""

    is_lasting = True

    def __init__(self) -> None:
        super().__init__(
            "The login is held: its destination was changed and awaits approval on the server."
        )


class CertificateChanged(DeviceFailed):
    """The router presents another TLS certificate than the one that is pinned; no login was sent."""

    is_lasting = True

    def __init__(self, pinned: str, presented: str) -> None:
        super().__init__(
            f"The router presents another TLS certificate (SHA-256 {presented}); no login was sent."
        )
        self.pinned = pinned
        self.presented = presented


class Trapped(Exception):
    """One command was refused; the connection is fine."""

    def __init__(self, path: str, messages: tuple[str, ...], category: str = "") -> None:
        super().__init__(f"{path}: {'; '.join(messages) or 'refused without a word'}")
        self.path = path
        self.messages = messages
        self.category = category
