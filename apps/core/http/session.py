"""A ``requests`` session that sends all requests through the egress client, for libraries that use ``requests``."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from apps.core.http.client import TOTAL_SECONDS, EgressClient, Request
from apps.core.http.errors import EgressError
from apps.core.http.policy import policy_of_installation

#: The base class of everything that such a session raises.
SessionError = requests.RequestException
#: Headers that the egress client sets itself.
_CLIENT_HEADERS = frozenset(
    {"host", "user-agent", "accept-encoding", "connection", "content-length"}
)


class GuardedAdapter(BaseAdapter):
    """Sends prepared requests. Follows no redirects and uses no proxy from the environment.

    ``seconds`` returns the time limit of the next request.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        super().__init__()
        self._seconds = seconds

    def send(self, request: requests.PreparedRequest, **_options: Any) -> requests.Response:  # type: ignore[override]
        """Raises ``requests.ConnectionError`` for refused requests and network errors."""
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
                        if name.lower() not in _CLIENT_HEADERS
                    },
                    body=body.encode() if isinstance(body, str) else bytes(body),
                )
            )
        except (EgressError, ValueError) as error:
            raise requests.ConnectionError(str(error), request=request) from error
        if not answer.body_whole:
            raise requests.ConnectionError(
                "The response is incomplete or too large.", request=request
            )
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response.raw = BytesIO(answer.body)
        response._content = answer.body  # noqa: SLF001  (already read; there is no public setter)
        response.encoding = "utf-8"
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """Nothing to close."""


def guarded_session(seconds: Callable[[], float] = lambda: TOTAL_SECONDS) -> requests.Session:
    """A ``requests`` session that can only use the egress client."""
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    session.adapters.clear()
    session.mount("https://", GuardedAdapter(seconds))
    session.mount("http://", GuardedAdapter(seconds))
    return session


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
