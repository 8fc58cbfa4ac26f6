"""Secrets that people and programs bring in or are given, each by the door that it really comes through."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from rest_framework.test import APIClient

from tests.accounts.test_second_factor import set_up

log = structlog.get_logger("apps.canaries")

SETS = {
    "routeros password": ("routeros_api", "password"),
    "snmp community": ("snmp_v2c", "community"),
    "snmp auth password": ("snmp_v3", "auth_password"),
    "snmp privacy password": ("snmp_v3", "priv_password"),
    "ssh password": ("ssh", "password"),
    "webhook login": ("webhook", "token"),
}
PEM = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----"


def canary() -> str:
    return f"Canary{uuid4().hex}"


class Planter:
    """Keeps what it plants by name, and every answer that is not the one that may show a secret.

    ``program`` calls REST with an administrator's token, ``stranger`` makes one that has none; both speak to the
    application in this process or, alike, to a server.
    """

    def __init__(self, program: Any, stranger: Callable[[], Any] = APIClient) -> None:
        self.program = program
        self.stranger = stranger
        program.raise_request_exception = False
        self.secrets: dict[str, str | bytes] = {}
        self.answers: list[bytes] = []

    def put(self, name: str) -> str:
        self.secrets[name] = canary()
        return str(self.secrets[name])

    def keep(self, answer: Any) -> Any:
        """An answer that must not show any."""
        self.answers.append(answer.content)
        return answer

    def post(self, path: str, body: Any, **more: Any) -> Any:
        return self.program.post(f"/api/v1/{path}/", body, format="json", **more)

    def shown_once(self, name: str, answer: Any, field: str) -> str:
        assert answer.status_code in {200, 201}, answer.content
        text = str(answer.json()[field])
        self.secrets[name] = text
        return text

    def credentials(self) -> None:
        for name, (kind, field) in SETS.items():
            body = {"name": name, "kind": kind, field: self.put(name)}
            if kind == "snmp_v3":
                body["options"] = {"auth_protocol": "sha", "priv_protocol": "none"}
            if kind == "webhook":
                body["options"] = {"scheme": "bearer"}
            if field == "priv_password":
                body |= {"auth_password": canary()}
                body["options"]["priv_protocol"] = "aes"
            if kind not in {"snmp_v2c", "webhook"}:
                body["username"] = "monitor"
            answer = self.keep(self.post("credential-sets", body))
            assert answer.status_code == 201, (name, answer.content)
        pem = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM,
            PrivateFormat.PKCS8,
            BestAvailableEncryption(self.put("ssh passphrase").encode()),
        )
        self.secrets["ssh key"] = pem.splitlines()[2]
        key = {"private_key": pem.decode(), "passphrase": str(self.secrets["ssh passphrase"])}
        body = {"name": "key", "kind": "ssh", "username": "monitor", **key}
        answer = self.keep(self.post("credential-sets", body))
        assert answer.status_code == 201, answer.content
        body = {"name": "r", "username": "u", "secret": self.put("secret under a repeated key")}
        for _ in range(2):
            self.keep(self.post("credential-sets", body, headers={"Idempotency-Key": "canary"}))

    def shown(self, site: str) -> None:
        """What the platform itself makes and shows once."""
        hook = self.post("webhook-endpoints", {"name": "hook", "url": "https://hook.example/x"})
        self.shown_once("webhook secret", hook, "secret")
        path = f"webhook-endpoints/{hook.json()['id']}"
        self.shown_once(
            "staged webhook secret", self.post(f"{path}/rotate-secret", {"step": "stage"}), "secret"
        )
        again = {"Idempotency-Key": "hook"}
        body = {"name": "hook 2", "url": "https://hook.example/y"}
        self.shown_once(
            "webhook secret under a repeated key",
            self.post("webhook-endpoints", body, headers=again),
            "secret",
        )
        self.keep(self.post("webhook-endpoints", body, headers=again))
        self.shown_once("api token", self.post("tokens", {"name": "a"}), "token")
        again = {"Idempotency-Key": "token"}
        self.shown_once(
            "api token under a repeated key",
            self.post("tokens", {"name": "b"}, headers=again),
            "token",
        )
        self.keep(self.post("tokens", {"name": "b"}, headers=again))
        agent = self.post("agents", {"name": "a1", "site": site}).json()["id"]
        path = f"agents/{agent}/enroll-token"
        self.shown_once("enrolment token", self.post(path, {}), "token")
        self.shown_once(
            "enrolment token under a repeated key",
            self.post(path, {}, headers={"Idempotency-Key": "enrol"}),
            "token",
        )
        self.keep(self.post(path, {}, headers={"Idempotency-Key": "enrol"}))
        invited = {"email": "new@acme.example", "role": "noc"}
        for name, more in (("invitation", {}), ("invitation under a repeated key", again)):
            link = self.post(
                "invitations",
                {**invited, "email": f"{name[:4]}{len(more)}@x.example"},
                headers=more,
            )
            assert link.status_code == 201, link.content
            self.secrets[name] = link.json()["link"].partition("key=")[2]

    def people(self, browser: Any, email: str, password: str) -> str:
        """Passwords, sessions, second factors. The new password of the person with this address."""
        body = {"email": "p@acme.example", "role": "noc", "password": self.put("member password")}
        assert self.keep(self.post("memberships", body)).status_code == 201
        wrong = {"email": email, "password": self.put("wrong password")}
        self.keep(browser.post("/sign-in/", wrong))
        typed = {"email": self.put("password typed as name"), "password": "x"}
        browser.post("/sign-in/", typed)  # shown again to the one who typed it
        browser.post("/sign-in/", {"email": email, "password": password})
        self.secrets["session cookie"] = browser.cookies["sessionid"].value
        # Recovery codes are eight digits: too short to tell from chance.
        self.secrets["authenticator secret"], _ = set_up(browser)
        new = self.put("new password")
        passwords = {"current": password, "password": new, "again": new}
        self.keep(browser.post("/account/password/", passwords))
        self.keep(browser.get("/account/"))
        return new

    def faulty(self) -> None:
        """Secrets in requests that are refused."""
        sets = "/api/v1/credential-sets/"
        raw = {"content_type": "application/json"}
        self.keep(self.program.post(sets, f'{{"secret": "{self.put("in broken JSON")}', **raw))
        self.keep(
            self.program.post(sets, f"password={self.put('in a form')}", content_type="text/plain")
        )
        for name, body in (
            ("too long", {"name": "x", "secret": self.put("too long") * 999}),
            ("of the wrong shape", {"name": "x", "secret": {"x": self.put("of the wrong shape")}}),
            ("without a name", {"secret": self.put("without a name")}),
            ("in an unknown field", {"passwort": self.put("in an unknown field")}),
            ("for another kind", {"name": "x", "community": self.put("for another kind")}),
        ):
            assert self.keep(self.post("credential-sets", body)).status_code == 400, name
        self.keep(self.program.get("/api/v1/sites/", {"token": self.put("in a query")}))
        url = f"https://me:{self.put('in a webhook URL')}@hook.example/x"
        self.keep(self.post("webhook-endpoints", {"name": "x", "url": url}))
        stranger = self.stranger()
        for name, headers in (
            ("unknown bearer token", {"Authorization": "Bearer {}"}),
            ("basic login", {"Authorization": "Basic {}"}),
            ("unknown session", {"Cookie": "sessionid={}"}),
            ("own header", {"X-Api-Key": "{}"}),
        ):
            filled = {key: text.format(self.put(name)) for key, text in headers.items()}
            self.keep(stranger.get("/api/v1/sites/", headers=filled))

    def told(self) -> None:
        """What careless code may log."""
        log.error("refused", password=self.put("logged field"))
        log.error("refused", login={"secret": self.put("logged field within")})
        log.error("cannot reach postgres://app:%s@db/x", self.put("logged URL"))
        log.error("sent Authorization: Bearer %s", self.put("logged header"))
        log.error(PEM.format(self.put("logged key")))

    def broken(self, monkeypatch: Any) -> None:
        """Secrets in the hands of code that fails: their values are in the frames of the traceback."""

        def fail(**given: Any) -> Any:
            secret = str(self.secrets[last])
            raise RuntimeError(f"could not use password={secret} of {len(given)}")

        last = "in a request that breaks"
        monkeypatch.setattr("apps.vault.services.create_credential_set", fail)
        body = {"name": "x", "username": "u", "secret": self.put(last)}
        answer = self.keep(self.post("credential-sets", body))
        assert answer.status_code == 500, answer.content


def reads(program: Any, description: dict[str, Any]) -> Iterator[bytes]:
    """Every GET of the REST API: lists, and the rows that they name."""
    for path, methods in description["paths"].items():
        if "get" not in methods or path.count("{") > 1:
            continue
        listing = re.sub(r"\{id\}.*", "", path)
        rows = program.get(listing).json().get("results") or [{}] if "{" in path else [{}]
        for row in rows[:3]:
            yield program.get(path.replace("{id}", str(row.get("id", "x")))).content
