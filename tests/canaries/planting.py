"""Canary secrets, submitted or created through the pages and endpoints that real secrets use."""

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
    """Records planted secrets by name, and every response that must not contain one.

    ``program`` calls REST with an administrator's token, ``anonymous`` creates a client without one; both use the
    application in this process or a running server.
    """

    def __init__(self, program: Any, anonymous: Callable[[], Any] = APIClient) -> None:
        self.program = program
        self.anonymous = anonymous
        program.raise_request_exception = False
        self.secrets: dict[str, str | bytes] = {}
        self.responses: list[bytes] = []

    def put(self, name: str) -> str:
        self.secrets[name] = canary()
        return str(self.secrets[name])

    def record(self, response: Any) -> Any:
        """Record a response that must not contain a secret."""
        self.responses.append(response.content)
        return response

    def post(self, path: str, body: Any, **options: Any) -> Any:
        return self.program.post(f"/api/v1/{path}/", body, format="json", **options)

    def record_one_time_secret(self, name: str, response: Any, field: str) -> str:
        assert response.status_code in {200, 201}, response.content
        text = str(response.json()[field])
        self.secrets[name] = text
        return text

    def create_credentials(self) -> None:
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
            response = self.record(self.post("credential-sets", body))
            assert response.status_code == 201, (name, response.content)
        pem = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM,
            PrivateFormat.PKCS8,
            BestAvailableEncryption(self.put("ssh passphrase").encode()),
        )
        self.secrets["ssh key"] = pem.splitlines()[2]
        key = {"private_key": pem.decode(), "passphrase": str(self.secrets["ssh passphrase"])}
        body = {"name": "key", "kind": "ssh", "username": "monitor", **key}
        response = self.record(self.post("credential-sets", body))
        assert response.status_code == 201, response.content
        body = {"name": "r", "username": "u", "secret": self.put("secret under a repeated key")}
        for _ in range(2):
            self.record(self.post("credential-sets", body, headers={"Idempotency-Key": "canary"}))

    def create_one_time_secrets(self, site: str) -> None:
        """Secrets that the platform creates and shows once."""
        hook = self.post("webhook-endpoints", {"name": "hook", "url": "https://hook.example/x"})
        self.record_one_time_secret("webhook secret", hook, "secret")
        path = f"webhook-endpoints/{hook.json()['id']}"
        self.record_one_time_secret(
            "staged webhook secret", self.post(f"{path}/rotate-secret", {"step": "stage"}), "secret"
        )
        repeated = {"Idempotency-Key": "hook"}
        body = {"name": "hook 2", "url": "https://hook.example/y"}
        self.record_one_time_secret(
            "webhook secret under a repeated key",
            self.post("webhook-endpoints", body, headers=repeated),
            "secret",
        )
        self.record(self.post("webhook-endpoints", body, headers=repeated))
        self.record_one_time_secret("api token", self.post("tokens", {"name": "a"}), "token")
        repeated = {"Idempotency-Key": "token"}
        self.record_one_time_secret(
            "api token under a repeated key",
            self.post("tokens", {"name": "b"}, headers=repeated),
            "token",
        )
        self.record(self.post("tokens", {"name": "b"}, headers=repeated))
        agent = self.post("agents", {"name": "a1", "site": site}).json()["id"]
        path = f"agents/{agent}/enroll-token"
        self.record_one_time_secret("enrollment token", self.post(path, {}), "token")
        self.record_one_time_secret(
            "enrollment token under a repeated key",
            self.post(path, {}, headers={"Idempotency-Key": "enrol"}),
            "token",
        )
        self.record(self.post(path, {}, headers={"Idempotency-Key": "enrol"}))
        invitation = {"email": "new@acme.example", "role": "noc"}
        for name, headers in (("invitation", {}), ("invitation under a repeated key", repeated)):
            link = self.post(
                "invitations",
                {**invitation, "email": f"{name[:4]}{len(headers)}@x.example"},
                headers=headers,
            )
            assert link.status_code == 201, link.content
            self.secrets[name] = link.json()["link"].partition("key=")[2]

    def sign_in_secrets(self, browser: Any, email: str, password: str) -> str:
        """Passwords, sessions, second factors. Returns the new password of this user."""
        body = {"email": "p@acme.example", "role": "noc", "password": self.put("member password")}
        assert self.record(self.post("memberships", body)).status_code == 201
        wrong = {"email": email, "password": self.put("wrong password")}
        self.record(browser.post("/sign-in/", wrong))
        typed = {"email": self.put("password typed as name"), "password": "x"}
        browser.post("/sign-in/", typed)  # the form shows it again to the same user
        browser.post("/sign-in/", {"email": email, "password": password})
        self.secrets["session cookie"] = browser.cookies["sessionid"].value
        # Recovery codes are eight digits: too short to tell from chance.
        self.secrets["authenticator secret"], _ = set_up(browser)
        new = self.put("new password")
        passwords = {"current": password, "password": new, "password_confirm": new}
        self.record(browser.post("/account/password/", passwords))
        self.record(browser.get("/account/"))
        return new

    def send_invalid_requests(self) -> None:
        """Secrets in requests that are rejected."""
        sets = "/api/v1/credential-sets/"
        raw = {"content_type": "application/json"}
        self.record(self.program.post(sets, f'{{"secret": "{self.put("in broken JSON")}', **raw))
        self.record(
            self.program.post(sets, f"password={self.put('in a form')}", content_type="text/plain")
        )
        for name, body in (
            ("too long", {"name": "x", "secret": self.put("too long") * 999}),
            ("of the wrong shape", {"name": "x", "secret": {"x": self.put("of the wrong shape")}}),
            ("without a name", {"secret": self.put("without a name")}),
            ("in an unknown field", {"passwort": self.put("in an unknown field")}),
            ("for another kind", {"name": "x", "community": self.put("for another kind")}),
        ):
            assert self.record(self.post("credential-sets", body)).status_code == 400, name
        self.record(self.program.get("/api/v1/sites/", {"token": self.put("in a query")}))
        url = f"https://me:{self.put('in a webhook URL')}@hook.example/x"
        self.record(self.post("webhook-endpoints", {"name": "x", "url": url}))
        anonymous = self.anonymous()
        for name, headers in (
            ("unknown bearer token", {"Authorization": "Bearer {}"}),
            ("basic login", {"Authorization": "Basic {}"}),
            ("unknown session", {"Cookie": "sessionid={}"}),
            ("own header", {"X-Api-Key": "{}"}),
        ):
            filled = {key: text.format(self.put(name)) for key, text in headers.items()}
            self.record(anonymous.get("/api/v1/sites/", headers=filled))

    def log_secrets(self) -> None:
        """Secrets in log records, as careless code may write them."""
        log.error("refused", password=self.put("logged field"))
        log.error("refused", login={"secret": self.put("logged field within")})
        log.error("cannot reach postgres://app:%s@db/x", self.put("logged URL"))
        log.error("sent Authorization: Bearer %s", self.put("logged header"))
        log.error(PEM.format(self.put("logged key")))

    def send_failing_request(self, monkeypatch: Any) -> None:
        """Secrets in a request that fails: their values are in the frames of the traceback."""

        def fail(**arguments: Any) -> Any:
            secret = str(self.secrets[last])
            raise RuntimeError(f"could not use password={secret} of {len(arguments)}")

        last = "in a request that breaks"
        monkeypatch.setattr("apps.vault.services.create_credential_set", fail)
        body = {"name": "x", "username": "u", "secret": self.put(last)}
        response = self.record(self.post("credential-sets", body))
        assert response.status_code == 500, response.content


def reads(program: Any, description: dict[str, Any]) -> Iterator[bytes]:
    """Every GET of the REST API: lists, and the rows that they name."""
    for path, methods in description["paths"].items():
        if "get" not in methods or path.count("{") > 1:
            continue
        listing = re.sub(r"\{id\}.*", "", path)
        rows = program.get(listing).json().get("results") or [{}] if "{" in path else [{}]
        for row in rows[:3]:
            yield program.get(path.replace("{id}", str(row.get("id", "x")))).content
