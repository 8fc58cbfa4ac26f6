"""The guard for libraries that speak ``requests``: a session whose every exchange goes through the egress client."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from apps.core.http.client import TOTAL_SECONDS, EgressClient, Request
from apps.core.http.errors import EgressError
from apps.core.http.policy import policy_of_installation

#: All that an exchange in such a session may raise.
SessionError = requests.RequestException
#: What the client says for itself; a library's own values would contradict what is sent.
_OURS = frozenset({"host", "user-agent", "accept-encoding", "connection", "content-length"})


class GuardedAdapter(BaseAdapter):
    """Sends what ``requests`` prepared. No redirects are followed, no proxy of the environment is asked.

    ``seconds`` says, at each exchange, how long it may take.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        super().__init__()
        self._seconds = seconds

    def send(self, request: requests.PreparedRequest, **_options: Any) -> requests.Response:  # type: ignore[override]
        """Raises ``requests.ConnectionError`` for whatever the guard refuses or the network does."""
        body = request.body or b""
        try:
            client = EgressClient(policy_of_installation(), total_seconds=self._seconds())
            answer = client.send(
                Request(
                    method=request.method or "GET",
                    url=request.url or "",
                    headers={
                        name: _text(value)
                        for name, value in request.headers.items()
                        if name.lower() not in _OURS
                    },
                    body=body.encode() if isinstance(body, str) else bytes(body),
                )
            )
        except (EgressError, ValueError) as error:
            raise requests.ConnectionError(str(error), request=request) from error
        if not answer.body_whole:
            raise requests.ConnectionError("The answer broke off or is too long.", request=request)
        made = requests.Response()
        made.status_code = answer.status
        made.headers = CaseInsensitiveDict(answer.headers)
        made.raw = BytesIO(answer.body)
        made._content = answer.body  # noqa: SLF001  (read already: there is no public way to say so)
        made.encoding = "utf-8"
        made.url = request.url or ""
        made.request = request
        return made

    def close(self) -> None:
        """Holds nothing."""


def guarded_session(seconds: Callable[[], float] = lambda: TOTAL_SECONDS) -> requests.Session:
    """A ``requests`` session that can leave only by the guard."""
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    session.adapters.clear()
    session.mount("https://", GuardedAdapter(seconds))
    session.mount("http://", GuardedAdapter(seconds))
    return session


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
