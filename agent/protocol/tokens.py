"""Enrollment tokens: the URL of the server, its pinned CA, and a secret that works once."""

import base64
import binascii
import json
from dataclasses import dataclass

PREFIX = "ispvm1."
MAX_CHARS = 2000
_FINGERPRINT_CHARS = 64


class TokenInvalid(ValueError):
    """Not an enrollment token, or a damaged one."""


@dataclass(frozen=True)
class TokenContent:
    """``ca_sha256`` pins the CA certificate (SHA-256 of its DER): no trust on first use. ``next_ca_sha256`` pins the
    CA that the server is about to change to, or is empty."""

    url: str
    ca_sha256: str
    secret: str
    next_ca_sha256: str = ""

    def text(self) -> str:
        """The token as an operator copies it."""
        body = {"u": self.url, "f": self.ca_sha256, "t": self.secret}
        if self.next_ca_sha256:
            body["n"] = self.next_ca_sha256
        raw = json.dumps(body, separators=(",", ":")).encode()
        return PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def parse_token(text: str) -> TokenContent:
    """The inverse of ``TokenContent.text``. Raises TokenInvalid."""
    text = text.strip()
    if not text.startswith(PREFIX) or len(text) > MAX_CHARS:
        raise TokenInvalid("This is not an enrollment token; enrollment tokens start with ispvm1.")
    encoded = text.removeprefix(PREFIX)
    try:
        body = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        token = TokenContent(
            str(body["u"]),
            str(body["f"]).lower(),
            str(body["t"]),
            str(body.get("n", "")).lower(),
        )
        bytes.fromhex(token.ca_sha256 + token.next_ca_sha256)
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TokenInvalid("The enrollment token is damaged; copy all of it.") from error
    if (
        len(token.ca_sha256) != _FINGERPRINT_CHARS
        or len(token.next_ca_sha256) not in {0, _FINGERPRINT_CHARS}
        or not token.url.startswith("https://")
    ):
        raise TokenInvalid("The enrollment token is damaged; copy all of it.")
    return token
