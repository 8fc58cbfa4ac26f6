"""The interface of Django's test client, for a running server."""

from http.cookiejar import Cookie
from typing import Any

import requests

TIMEOUT_SECONDS = 30


class HttpClient:
    """A browser session, or an API client with a token. Redirects are not followed, as in the test client."""

    def __init__(self, base: str, token: str = "") -> None:
        self._base = base
        self._session = requests.Session()
        self._session.trust_env = False
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    @property
    def cookies(self) -> dict[str, Cookie]:
        return {cookie.name: cookie for cookie in self._session.cookies}

    def get(self, path: str, data: Any = None, *, headers: Any = None) -> requests.Response:
        return self._send("GET", path, params=data, headers=headers)

    def post(
        self,
        path: str,
        data: Any = None,
        *,
        format: str = "",  # noqa: A002  (as in REST framework's test client)
        content_type: str = "",
        headers: Any = None,
    ) -> requests.Response:
        headers = dict(headers or {})
        if format == "json":
            return self._send("POST", path, json=data, headers=headers)
        if content_type:
            headers["Content-Type"] = content_type
            return self._send("POST", path, data=data.encode(), headers=headers)
        if "csrftoken" not in self.cookies:
            self.get(path)
        headers["X-CSRFToken"] = str(self.cookies["csrftoken"].value)
        return self._send("POST", path, data=data, headers=headers)

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(
            method, self._base + path, allow_redirects=False, timeout=TIMEOUT_SECONDS, **options
        )
