"""ID tokens of attackers and of broken or misconfigured providers, and whether each may sign in."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.accounts.hostile_issuer import (
    CLIENT,
    SECRET,
    Issuer,
    encoded,
    private_key,
    public_jwk,
    public_pem,
)

Make = Callable[[Issuer, str], Any]


class Case(NamedTuple):
    name: str
    make: Make
    is_good: bool = False


def _mac(key: bytes, alg: str = "HS256", **header: Any) -> Make:
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[alg]

    def make(issuer: Issuer, nonce: str) -> str:
        head = {"alg": alg, "kid": "rsa", **header}
        signed = f"{encoded(head)}.{encoded(issuer.claims(nonce))}"
        return f"{signed}.{encoded(hmac.new(key, signed.encode(), digest).digest())}"

    return make


def _header(header: Any, key: str = "rsa", *, published: Any = None) -> Make:
    """Correctly signed by ``key``, with this header."""

    def make(issuer: Issuer, nonce: str) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        if published is not None:
            issuer.keys = published() if callable(published) else published
        signed = f"{encoded(header)}.{encoded(issuer.claims(nonce))}"
        signature = private_key(key).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{encoded(signature)}"

    return make


def _claims(**changed: Any) -> Make:
    return lambda issuer, nonce: issuer.token(nonce, **changed)


def _later(**offsets: int) -> Make:
    """Times as offsets from now."""

    def make(issuer: Issuer, nonce: str) -> str:
        now = issuer.claims(nonce)["iat"]
        return issuer.token(nonce, **{name: now + offset for name, offset in offsets.items()})

    return make


def _of_issuer(change: Callable[[str], Any]) -> Make:
    return lambda issuer, nonce: issuer.token(nonce, iss=change(issuer.url))


def _text(change: Callable[[str], Any]) -> Make:
    """A valid token with its text changed."""
    return lambda issuer, nonce: change(issuer.token(nonce))


def _flip(token: str) -> str:
    head, body, signature = token.split(".")
    return f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def _der(name: str) -> bytes:
    public = private_key(name).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


RS = {"alg": "RS256", "kid": "rsa"}
GOOD = [
    Case("as it should be", _claims(), True),
    Case("one audience in a list", _claims(aud=[CLIENT]), True),
    Case("several audiences, made for us", _claims(aud=[CLIENT, "other"], azp=CLIENT), True),
    Case("ended within the leeway", _later(exp=-30, iat=-300), True),
    Case("made a little in the future", _later(iat=30, exp=300), True),
    Case("valid from a little in the future", _later(nbf=30), True),
    Case("without a key id, one key is there", _header({"alg": "RS256"}), True),
    Case("claims nobody knows", _claims(x={"y": [1]}, roles=["admin"]), True),
    *(
        Case(
            f"signed by {alg}",
            lambda issuer, nonce, key=key, alg=alg: (
                issuer.keys.append(public_jwk(key)) or issuer.token(nonce, key=key, alg=alg)
            ),
            True,
        )
        for key, alg in (("ec", "ES256"), ("ed", "EdDSA"), ("rsa2", "PS256"), ("rsa2", "RS512"))
    ),
]
ALGORITHMS = [
    *(
        Case(f"alg {alg!r}, no signature", lambda i, n, alg=alg: i.forged(n, {"alg": alg}))
        for alg in ("none", "None", "NONE", "nOnE", "", None, 0, [], ["RS256"], {}, "null")
    ),
    Case("alg none with a signature", lambda i, n: i.forged(n, {"alg": "none"}, b"x" * 256)),
    Case("no alg", lambda i, n: i.forged(n, {"typ": "JWT"}, b"x" * 256)),
    *(
        Case(f"{alg} by the client's secret", _mac(SECRET.encode(), alg))
        for alg in ("HS256", "HS384", "HS512")
    ),
    Case("HS256 by the public key's text", _mac(public_pem("rsa"))),
    Case("HS256 by the public key's text, stripped", _mac(public_pem("rsa").strip())),
    Case("HS512 by the public key's text", _mac(public_pem("rsa"), "HS512")),
    Case("HS256 by the public key's bytes", _mac(_der("rsa"))),
    Case("HS256 by the modulus", _mac(public_jwk("rsa")["n"].encode())),
    Case("HS256 by nothing", _mac(b"")),
    Case("HS256 by a zero byte", _mac(b"\0")),
    *(
        Case(f"alg {alg}", lambda i, n, alg=alg: i.forged(n, {"alg": alg, "kid": "rsa"}, b"x" * 64))
        for alg in ("RS1", "rs256", "RS256 ", "ES256K", "A128KW", "dir", "HS1", "EdDSA", "ES256")
    ),
    Case(
        "RS256 in the header, a MAC as signature",
        lambda i, n: _mac(public_pem("rsa"))(i, n).replace(
            encoded({"alg": "HS256", "kid": "rsa"}), encoded(RS)
        ),
    ),
]
KEYS = [
    *(
        Case(f"key id {kid!r}"[:60], _header({"alg": "RS256", "kid": kid}))
        for kid in (
            *("../../../../dev/null", "/etc/passwd", "file:///dev/null", "rsa\0", "RSA", "", " "),
            *("x' UNION SELECT 'secret' --", "http://127.0.0.1/jwks", "rsa/../rsa", "x" * 10_000),
            *(0, [], ["rsa"], {"rsa": 1}, True),
        )
    ),
    *(
        Case(f"{name} leads to the thief's key", _header({**RS, name: value}, "thief"))
        for name, value in (
            ("jku", "http://127.0.0.1:9/jwks"),
            ("x5u", "http://127.0.0.1:9/cert"),
            ("jwk", public_jwk("thief")),
            ("x5c", ["AAAA"]),
        )
    ),
    Case("the thief's key under our key's id", _header(RS, "thief")),
    Case("a key that is not published", _header({"alg": "RS256", "kid": "thief"}, "thief")),
    Case("a key for encryption", _header(RS, published=lambda: [public_jwk("rsa", use="enc")])),
    Case(
        "a key for another algorithm",
        _header(RS, published=lambda: [public_jwk("rsa", alg="RS512")]),
    ),
    Case(
        "two keys of one id",
        _header(RS, published=lambda: [public_jwk("rsa"), public_jwk("rsa2", kid="rsa")]),
    ),
    Case(
        "a short key",
        _header({**RS, "kid": "short"}, "short", published=lambda: [public_jwk("short")]),
    ),
    Case("no keys", _header(RS, published=[])),
    Case("keys that are no keys", _header(RS, published=["rsa", None, 7, [], {}])),
    Case(
        "a key that cannot be read",
        _header(RS, published=[{"kty": "RSA", "kid": "rsa", "n": "!", "e": 1}]),
    ),
    Case(
        "a secret published as a key",
        lambda i, n: (
            setattr(i, "keys", [{"kty": "oct", "kid": "oct", "k": encoded(b"x" * 32)}])
            or _mac(b"x" * 32, kid="oct")(i, n)
        ),
    ),
    Case("demands that nobody knows", _header({**RS, "crit": ["exp"], "exp": 1})),
    Case("an unencoded body", _header({**RS, "b64": False, "crit": ["b64"]})),
]
CLAIMS = [
    *(
        Case(f"issuer {name}", _of_issuer(change))
        for name, change in {
            "with a slash": lambda url: f"{url}/",
            "in capitals": str.upper,
            "of another host": lambda url: url.replace("127.0.0.1", "127.0.0.2"),
            "by another name": lambda url: url.replace("127.0.0.1", "localhost"),
            "of another port": lambda url: f"{url}0",
            "with a user": lambda url: url.replace("//", "//x@"),
            "in a list": lambda url: [url],
            "empty": lambda url: "",
            "null": lambda url: None,
            "missing": lambda url: ...,
        }.items()
    ),
    *(
        Case(f"audience {aud!r}", _claims(aud=aud))
        for aud in (
            *("other", "", None, 7, [], ["other"], [CLIENT, "other"], CLIENT.upper()),
            *(f"{CLIENT} ", CLIENT[:-1], [[CLIENT]], {CLIENT: 1}, ...),
        )
    ),
    Case("made for another party", _claims(azp="other")),
    Case("several audiences, for another party", _claims(aud=[CLIENT, "other"], azp="other")),
    Case("a party that is no text", _claims(azp=[CLIENT])),
    *(Case(f"nonce {nonce!r}", _claims(nonce=nonce)) for nonce in ("", "x", None, 7, [], "ÿ", ...)),
    Case("the nonce in a list", lambda i, n: i.token(n, nonce=[n])),
    Case("the nonce and more", lambda i, n: i.token(n, nonce=f"{n}x")),
    Case("ended", _later(exp=-61, iat=-400)),
    Case("ended long ago", _later(exp=-86_400, iat=-90_000)),
    Case("valid from tomorrow", _later(nbf=86_400)),
    Case("made tomorrow", _later(iat=86_400, exp=90_000)),
    *(
        Case(f"{name} {value!r}", _claims(**{name: value}))
        for name in ("exp", "iat")
        for value in (..., None, "soon", [], {}, float("nan"), float("inf"))
    ),
    Case("ends at the end of time", _claims(exp=-1)),
    Case("valid from nonsense", _claims(nbf="x")),
    *(
        Case(f"subject {sub!r}"[:50], _claims(sub=sub))
        for sub in ("", " ", None, 7, [], ["someone"], {}, "x" * 300, "a\0b", ...)
    ),
]
TEXTS = [
    Case("nothing", _text(lambda _: "")),
    Case("no text", _text(lambda _: {"a": 1})),
    Case("a number", _text(lambda _: 7)),
    Case("null", _text(lambda _: None)),
    Case("two parts", _text(lambda t: t.rpartition(".")[0])),
    Case("no signature", _text(lambda t: t.rpartition(".")[0] + ".")),
    Case("four parts", _text(lambda t: f"{t}.x")),
    Case("five parts", _text(lambda t: f"{t}.x.y")),
    Case("one bit of the signature", _text(_flip)),
    Case("half a signature", _text(lambda t: t[:-100])),
    Case(
        "another body",
        _text(lambda t: f"{t.split('.')[0]}.{encoded({'sub': 'admin'})}.{t.split('.')[2]}"),
    ),
    Case(
        "a body that is a list",
        _text(lambda t: f"{t.split('.')[0]}.{encoded([])}.{t.split('.')[2]}"),
    ),
    Case("a header that is a list", _text(lambda t: f"{encoded([])}.{t.partition('.')[2]}")),
    Case("a header without end", _text(lambda t: encoded(b"[" * 5000) + "." + t.partition(".")[2])),
    Case("no base64", _text(lambda t: f"!!!.{t.partition('.')[2]}")),
    Case("too long", _text(lambda t: t + "A" * 40_000)),
    Case("with a zero byte", _text(lambda t: f"{t}\0")),
    Case("of other scripts", _text(lambda t: f"٣{t}")),
]
CASES = [*GOOD, *ALGORITHMS, *KEYS, *CLAIMS, *TEXTS]
