"""A minimal HTTPS client that signs in and uses the pages and the REST API like a browser."""

import base64
import hmac
import http.client
import json
import re
import ssl
import struct
import time
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

HOST = "noc.example"


@dataclass
class Page:
    status: int
    location: str
    body: str

    def json(self) -> Any:
        assert self.status < 300, f"{self.status} {self.body[:500]}"
        return json.loads(self.body) if self.body else None


class Browser:
    """Cookies, forms, and TLS verified with the certificate installed according to the page."""

    def __init__(self, certificate: Path) -> None:
        self.context = ssl.create_default_context(cafile=str(certificate))
        self.cookies: SimpleCookie = SimpleCookie()

    def get(self, path: str) -> Page:
        return self._send("GET", path, None, {})

    def post_form(self, path: str, **fields: str) -> Page:
        page = self.get(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body)
        assert token is not None, page.body[:500]
        body = urlencode({**fields, "csrfmiddlewaretoken": token[1]})
        return self._send("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def add_authenticator(self) -> Page:
        """Set up an authenticator app with the key on the page."""
        path = "/account/authenticator/"
        page = self.get(path)
        secret = re.search(r'class="secret"[^>]*>([A-Z2-7]+)<', page.body)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body)
        assert secret is not None, page.body[-2000:]
        assert token is not None
        body = urlencode({"code": digits_of(secret[1]), "csrfmiddlewaretoken": token[1]})
        return self._send("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def post(self, path: str, body: object) -> Any:
        headers = {
            "Content-Type": "application/json",
            "X-CSRFToken": self.cookies["csrftoken"].value,
        }
        return self._send("POST", f"/api/v1{path}", json.dumps(body), headers).json()

    def read(self, path: str) -> Any:
        return self.get(f"/api/v1{path}").json()

    def _send(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Page:
        connection = http.client.HTTPSConnection(HOST, 443, timeout=60, context=self.context)
        try:
            cookies = "; ".join(f"{name}={part.value}" for name, part in self.cookies.items())
            shared = {
                "Cookie": cookies,
                "Origin": f"https://{HOST}",
                "Referer": f"https://{HOST}{path}",
            }
            connection.request(method, path, body, {**shared, **headers})
            answer = connection.getresponse()
            for line in answer.headers.get_all("Set-Cookie") or []:
                self.cookies.load(line)
            return Page(
                answer.status,
                answer.headers.get("Location", ""),
                answer.read().decode("utf-8", "replace"),
            )
        except OSError as error:
            return Page(599, "", str(error))
        finally:
            connection.close()


def digits_of(secret: str) -> str:
    """The TOTP code of the current time step (RFC 6238)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30), "sha1")
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4]) & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"
