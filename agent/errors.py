"""What can go wrong for an agent, said in one sentence that an operator can act on."""


class AgentError(Exception):
    """Ends a command; its text is shown as it is."""


class NotEnrolled(AgentError):
    """This state folder belongs to no agent yet."""


class ServerUnreachable(AgentError):
    """The server did not answer in time, or not over a connection that we trust. Worth trying again."""


class Refused(AgentError):
    """The server answered and said no."""

    def __init__(
        self, status: int, code: str, detail: str, retry_after: float | None = None
    ) -> None:
        super().__init__(f"The server refused ({status} {code}): {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
