"""The web process with the settings of production behind HTTPS: what browsers, strangers and log files get from it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ispvm.supervisor.paths import PROJECT
from tests.conftest import PASSWORD
from tests.database import url_of_this_test

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]

HOST = "monitor.isp.example"
#: Answers the requests on its standard input, one JSON line each.
SERVER = """
import io, json, logging, sys
import django, structlog
django.setup()
from django.conf import settings
from django.core.management import call_command
if not settings.STATIC_ROOT.exists():
    call_command("collectstatic", verbosity=0, interactive=False)
from ispvm.wsgi import application
for line in sys.stdin:
    request = json.loads(line)
    if "log" in request:
        logging.getLogger("some.library").warning(request["log"])
        structlog.get_logger("ispvm.of_ours").warning("said", **request["fields"])
        print("{}", flush=True)
        continue
    body = request["body"].encode()
    environ = {
        "REQUEST_METHOD": request["method"], "PATH_INFO": request["path"], "QUERY_STRING": request["query"],
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "wsgi.input": io.BytesIO(body), "wsgi.url_scheme": "http", "wsgi.errors": sys.stderr,
        **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in request["headers"].items()},
    }
    head = []
    answer = application(environ, lambda status, headers, *_: head.extend([status, headers]))
    text = b"".join(answer).decode()
    answer.close()
    print(json.dumps({"status": int(head[0][:3]), "headers": head[1], "text": text}), flush=True)
"""


class Answer:
    """Status, headers, cookies and text."""

    def __init__(self, report: dict[str, Any]) -> None:
        self.status: int = report["status"]
        self.headers = {name.lower(): value for name, value in report["headers"]}
        self.text: str = report["text"]
        self.cookies = SimpleCookie()
        for name, value in report["headers"]:
            if name.lower() == "set-cookie":
                self.cookies.load(value)


class Production:
    """A process of the web server, and what it logs."""

    def __init__(self, home: Path) -> None:
        self._log = home / "log"
        plain = {
            k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "PROMETHEUS_"))
        }
        production = {
            "DJANGO_SETTINGS_MODULE": "ispvm.settings.server",
            "DATABASE_URL": url_of_this_test(),
            "ISPVM_ENV": "prod",
            "ISPVM_HOME": str(home),
            "ISPVM_PUBLIC_URL": f"https://{HOST}",
            "ISPVM_ALLOWED_HOSTS": HOST,
            "ISPVM_LOG_FORMAT": "json",
        }
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVER],
                cwd=PROJECT,
                env=plain | production,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def ask(
        self, path: str, body: str = "", *, method: str = "", query: str = "", **headers: str
    ) -> Answer:
        """A request as nginx passes it on, over HTTPS unless said otherwise."""
        passed = {"Host": HOST, "X-Forwarded-Proto": "https"}
        passed |= {name.replace("_", "-"): value for name, value in headers.items()}
        method = method or ("POST" if body else "GET")
        request = {"method": method, "path": path, "query": query, "body": body, "headers": passed}
        return Answer(self._tell(request))

    def log(self, text: str, **fields: str) -> None:
        """Log as a library does, and as the platform does."""
        self._tell({"log": text, "fields": fields})

    def logged(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def _tell(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.logged()[-3000:]
        report: dict[str, Any] = json.loads(line)
        return report


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """The first process collects the static files there."""
    return tmp_path_factory.mktemp("production")


@pytest.fixture
def production(transactional_db, home) -> Iterator[Production]:
    production = Production(home)
    yield production
    production.process.communicate()


@pytest.fixture
def person(acme_noc, settings):
    """A member with the password as production stores it."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    acme_noc.set_password(PASSWORD)
    acme_noc.save()
    return acme_noc


def form_of(page: Answer, **fields: str) -> tuple[str, dict[str, str]]:
    """A form of the page with its token, and the headers that a browser sends with it."""
    assert page.status == 200, page.text
    (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[:1]
    body = urlencode({"csrfmiddlewaretoken": token, **fields})
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in page.cookies.items())
    return body, {"Cookie": cookie, "Origin": f"https://{HOST}", "Referer": f"https://{HOST}/"}


def test_a_browser_gets_the_protections(production, person):
    plain = production.ask("/sign-in/", X_Forwarded_Proto="http")
    probe = production.ask("/livez", X_Forwarded_Proto="http")
    page = production.ask("/sign-in/")
    body, sent = form_of(page, email=person.email, password=PASSWORD)
    signed_in = production.ask("/sign-in/", body, **sent)

    assert (plain.status, plain.headers["location"]) == (301, f"https://{HOST}/sign-in/")
    assert probe.status == 200  # from the host itself
    assert page.status == 200
    assert page.headers["strict-transport-security"] == "max-age=31536000"
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "same-origin"
    policy = dict(
        part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";")
    )
    sources = dict.fromkeys(
        ["script-src", "style-src", "font-src", "connect-src", "form-action"], "'self'"
    )
    nothing = dict.fromkeys(["default-src", "base-uri", "frame-ancestors"], "'none'")
    assert policy == {**sources, **nothing, "img-src": "'self' data:"}
    assert signed_in.status == 302
    for cookies, name in ((page.cookies, "csrftoken"), (signed_in.cookies, "sessionid")):
        assert cookies[name]["secure"], name
        assert cookies[name]["samesite"] == "Lax", name
    assert signed_in.cookies["sessionid"]["httponly"]
    assert int(signed_in.cookies["sessionid"]["max-age"]) <= 12 * 3600


def test_a_stranger_is_refused(production, person):
    page = production.ask("/sign-in/")
    body, sent = form_of(page, email=person.email, password=PASSWORD)

    other_host = production.ask("/sign-in/", Host="attacker.example")
    other_site = production.ask("/sign-in/", body, **sent | {"Origin": "https://attacker.example"})
    no_token = production.ask("/sign-in/", body.split("&", 1)[1], **sent)
    absent = production.ask("/there-is-no-such-page/")

    assert other_host.status == 400
    assert (other_site.status, no_token.status) == (403, 403)
    assert "sessionid" not in {*other_site.cookies, *no_token.cookies}
    assert absent.status in {302, 404}
    assert "urlconf" not in (other_host.text + no_token.text + absent.text).lower()  # no debugging


def test_no_secret_is_logged(production, person):
    page = production.ask("/sign-in/")
    body, sent = form_of(page, email=person.email, password="canary-of-the-form")
    production.ask("/sign-in/", body, **sent)
    production.ask("/api/v1/me/", query="token=canary-in-query", Authorization="Bearer canary-api")
    production.log("cannot reach postgres://me:canary-of-a-library@db/x", password="canary-field")

    logged = production.logged()

    assert "/api/v1/me/" in logged
    assert "cannot reach postgres" in logged
    assert "canary" not in logged
