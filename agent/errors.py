"""Errors of the agent. Each message is one sentence that tells the operator what to do."""


class AgentError(Exception):
    """Ends a command with this message on stderr."""


class NotEnrolled(AgentError):
    """The state folder holds no enrolled agent."""


class ServerUnreachable(AgentError):
    """No response in time, or no trusted connection. A retry may succeed."""


class RequestRefused(AgentError):
    """The server responded with an error status."""

    def __init__(
        self, status: int, code: str, detail: str, retry_after: float | None = None
    ) -> None:
        super().__init__(f"The server refused ({status} {code}): {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
