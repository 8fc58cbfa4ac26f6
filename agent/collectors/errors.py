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


class Trapped(Exception):
    """One command was refused; the connection is fine."""

    def __init__(self, path: str, messages: tuple[str, ...], category: str = "") -> None:
        super().__init__(f"{path}: {'; '.join(messages) or 'refused without a word'}")
        self.path = path
        self.messages = messages
        self.category = category
