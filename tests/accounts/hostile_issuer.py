"""A configurable identity provider on loopback, and the creation of its tokens."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

CLIENT, SECRET = "hostile", "a-secret-of-the-tests-only"
WELL_KNOWN = "/.well-known/openid-configuration"


@cache
def private_key(name: str) -> Any:
    """A key, generated once per name; the name begins with the key type."""
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    if name.startswith("ed"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 1024 if name.startswith("short") else 2048)


def public_jwk(name: str, **more: Any) -> dict[str, Any]:
    """The public key in JWK form, as the provider publishes it."""
    public = private_key(name).public_key()
    kind = {"ec": jwt.algorithms.ECAlgorithm, "ed": jwt.algorithms.OKPAlgorithm}
    algorithm = kind.get(name[:2], jwt.algorithms.RSAAlgorithm)
    jwk = algorithm.to_jwk(public, as_dict=True)
    return {**jwk, "kid": name, "use": "sig", **more}


def public_pem(name: str) -> bytes:
    return (
        private_key(name)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def encoded(part: Any) -> str:
    """base64url of JSON, or of bytes as they are."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Issuer:
    """A provider whose response per path is a field that tests change."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.keys: list[Any] = [public_jwk("rsa")]
        self.answers: dict[str, tuple[int, Any]] = {}
        self.requests: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.id_token: Any = ""
        self.userinfo: Any = {}
        self.document: dict[str, Any] = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "userinfo_endpoint": f"{self.url}/userinfo",
        }

    def answer(self, path: str) -> tuple[int, Any]:
        self.requests.append(path)
        if path in self.answers:
            return self.answers[path]
        return 200, {
            WELL_KNOWN: self.document,
            "/jwks": {"keys": self.keys},
            "/token": {"access_token": "x", "token_type": "Bearer", "id_token": self.id_token},
            "/userinfo": self.userinfo,
        }.get(path, {})

    def claims(self, nonce: str, /, **changed: Any) -> dict[str, Any]:
        """Valid claims with changes; a value of ``...`` removes the claim."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "someone",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not ...}

    def token(
        self, nonce: str, /, *, key: str = "rsa", kid: str = "", alg: str = "RS256", **changed: Any
    ) -> str:
        """A correctly signed token with some claims changed."""
        headers = {"kid": kid or key}
        body = json.dumps(self.claims(nonce, **changed)).encode()  # jwt.encode would refuse some
        return jwt.PyJWS().encode(body, private_key(key), alg, headers=headers)

    def forged(self, nonce: str, header: Any, signature: bytes = b"", /, **changed: Any) -> str:
        """A token with a chosen header, payload and signature."""
        return f"{encoded(header)}.{encoded(self.claims(nonce, **changed))}.{encoded(signature)}"


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond(*issuer.answer(urlsplit(self.path).path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            issuer.forms.append({k: v[0] for k, v in parse_qs(body.decode()).items()})
            self._respond(*issuer.answer(urlsplit(self.path).path))

        def _respond(self, status: int, content: Any) -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            if status in {301, 302, 307}:
                self.send_header("Location", f"{issuer.url}/elsewhere")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
