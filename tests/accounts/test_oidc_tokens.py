"""Invalid tokens and responses of a provider: every case runs the whole login."""

from ipaddress import ip_network
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from apps.accounts.oidc import metadata
from apps.accounts.oidc.config import Provider, Rule
from tests.accounts.hostile_issuer import (
    CLIENT,
    SECRET,
    WELL_KNOWN,
    Issuer,
    public_jwk,
    running_issuer,
)
from tests.accounts.mail_domains import accept
from tests.accounts.test_second_factor import is_in
from tests.accounts.token_corpus import CASES

pytestmark = pytest.mark.django_db
START, BACK = f"/sign-in/with/{CLIENT}/", f"/sign-in/with/{CLIENT}/callback/"
EVERY_RUN = 5


def described(issuer: Issuer, **more) -> Provider:
    return Provider(
        slug=CLIENT,
        name="Hostile",
        issuer=issuer.url,
        client_id=CLIENT,
        client_secret=SECRET,
        **more,
    )


@pytest.fixture(scope="module")
def _server():
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(_server, settings):
    """A provider that behaves correctly until a test changes it."""
    _server.__init__(urlsplit(_server.url).port)
    metadata.clear_cache()
    settings.ISPVM_OIDC_PROVIDERS = (described(_server),)
    settings.ISPVM_EGRESS_ALLOW = (SimpleNamespace(network=ip_network("127.0.0.0/8"), port=None),)
    yield _server
    metadata.clear_cache()


@pytest.fixture
def known(acme_noc, issuer):
    """The provider's subject "someone" is linked to the NOC user."""
    SocialAccount.objects.create(user=acme_noc, provider=issuer.url, uid="someone")
    return acme_noc


def begin_login(client: Client) -> dict[str, str]:
    """The authorization request sent to the provider."""
    answer = client.get(START)
    assert answer.status_code == 302, answer.content
    return {
        name: values[0] for name, values in parse_qs(urlsplit(answer["Location"]).query).items()
    }


def handle_callback(client: Client, login_params: dict[str, str], **more):
    return client.get(BACK, {"state": login_params["state"], "code": "good", **more})


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[] if number % EVERY_RUN == 0 else pytest.mark.long)
        for number, case in enumerate(CASES)
    ],
)
def test_only_valid_tokens_sign_in(known, issuer, case):
    client = Client()
    login_params = begin_login(client)
    issuer.id_token = case.make(issuer, login_params["nonce"])

    answer = handle_callback(client, login_params)

    assert answer.status_code == (302 if case.is_good else 401), answer.content
    assert is_in(client) == case.is_good
    assert set(issuer.requests) <= {WELL_KNOWN, "/token", "/jwks", "/userinfo"}


def test_number_of_cases(record_property):
    summary = f"U1: {len(CASES)} tokens of an OIDC provider, {len(CASES[::EVERY_RUN])} in every run"
    record_property("bar", summary)

    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)
    assert len(CASES[::EVERY_RUN]) >= 25


class TestRequest:
    def test_carries_state_nonce_and_a_hashed_verifier(self, issuer):
        login_params = begin_login(Client())

        assert login_params["response_type"] == "code"
        assert login_params["code_challenge_method"] == "S256"
        assert len(login_params["state"]) >= 16
        assert len(login_params["nonce"]) >= 32
        assert login_params["redirect_uri"].endswith(BACK)
        assert set(login_params["scope"].split()) == {"openid", "profile", "email"}

    def test_state_and_nonce_are_unique(self, issuer):
        one, two = begin_login(Client()), begin_login(Client())

        for name in ("state", "nonce", "code_challenge"):
            assert one[name] != two[name]

    def test_the_host_header_does_not_change_the_callback_url(self, issuer):
        answer = Client(headers={"Host": "localhost"}).get(START)

        assert "127.0.0.1%3A8000" in answer["Location"]

    def test_an_unknown_provider_is_not_found(self, issuer):
        assert Client().get("/sign-in/with/other/").status_code == 404
        assert Client().get("/sign-in/with/other/callback/").status_code == 404


class TestState:
    def back(self, known, issuer, state=None, client=None, **more):
        client = client or Client()
        login_params = begin_login(client)
        issuer.id_token = issuer.token(login_params["nonce"])
        query = {"state": login_params["state"] if state is None else state, "code": "good", **more}
        return client.get(BACK, query), client, query

    def test_is_accepted_once(self, known, issuer):
        answer, client, query = self.back(known, issuer)
        assert answer.status_code == 302
        client.post("/sign-out/")

        assert client.get(BACK, query).status_code == 401
        assert not is_in(client)

    @pytest.mark.parametrize("state", ["", "x", "x" * 5000, "\x00", "ÿ"])
    def test_unknown_is_refused(self, known, issuer, state):
        assert self.back(known, issuer, state)[0].status_code == 401

    def test_of_another_browser_is_refused(self, known, issuer):
        thief = Client()
        state = begin_login(thief)["state"]

        answer, client, _ = self.back(known, issuer, state)

        assert answer.status_code == 401
        assert not is_in(client)

    def test_of_another_provider_is_refused(self, known, issuer, settings):
        other = described(issuer)
        settings.ISPVM_OIDC_PROVIDERS = (other, Provider(**{**vars(other), "slug": "two"}))
        client = Client()
        login_params = begin_login(client)
        issuer.id_token = issuer.token(login_params["nonce"])

        answer = client.get(
            "/sign-in/with/two/callback/", {"state": login_params["state"], "code": "x"}
        )

        assert answer.status_code == 401

    def test_expires_after_ten_minutes(self, known, issuer, time_machine):
        client = Client()
        login_params = begin_login(client)
        time_machine.move_to(issuer.claims("")["iat"] + 660)
        issuer.id_token = issuer.token(login_params["nonce"])

        assert handle_callback(client, login_params).status_code == 401

    @pytest.mark.parametrize(
        "more", [{"error": "access_denied"}, {"code": ""}, {"iss": "http://other.example"}]
    )
    def test_an_error_or_another_issuers_response_is_refused(self, known, issuer, more):
        answer, client, _ = self.back(known, issuer, **more)

        assert answer.status_code == 401
        assert not is_in(client)
        assert "/token" not in issuer.requests

    def test_a_missing_iss_is_refused_if_advertised(self, known, issuer):
        issuer.document["authorization_response_iss_parameter_supported"] = True

        assert self.back(known, issuer)[0].status_code == 401
        assert self.back(known, issuer, iss=issuer.url)[0].status_code == 302

    def test_the_session_gets_a_new_key(self, known, issuer):
        client = Client()
        login_params = begin_login(client)
        before = client.session.session_key
        issuer.id_token = issuer.token(login_params["nonce"])

        handle_callback(client, login_params)

        assert is_in(client)
        assert client.session.session_key != before


class TestBrokenProvider:
    @pytest.mark.parametrize(
        "response_body",
        [
            (500, {}),
            (200, b""),
            (200, b"<html>"),
            (200, b"[" * 100_000),
            (200, []),
            (200, {"issuer": "http://other.example"}),
            (200, {}),
            (302, {}),
            (200, b"{}" + b" " * 100_000),
        ],
    )
    @pytest.mark.parametrize("path", [WELL_KNOWN, "/jwks", "/token"])
    def test_shows_an_error(self, known, issuer, path, response_body):
        client = Client()
        if path == WELL_KNOWN:
            issuer.answers[path] = response_body
            assert client.get(START).status_code == 502
            return
        login_params = begin_login(client)
        issuer.id_token = issuer.token(login_params["nonce"])
        issuer.answers[path] = response_body

        answer = handle_callback(client, login_params)

        assert answer.status_code in {401, 502}, answer.content
        assert not is_in(client)

    @pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
    @pytest.mark.parametrize("url", [None, "", 7, "javascript:alert(1)", "file:///etc/passwd"])
    def test_without_endpoints_is_refused(self, issuer, name, url):
        issuer.document[name] = url

        assert Client().get(START).status_code == 502

    def test_cannot_redirect_to_internal_addresses(self, known, issuer, settings):
        issuer.document["token_endpoint"] = "http://169.254.169.254/latest"
        client = Client()
        login_params = begin_login(client)

        assert handle_callback(client, login_params).status_code == 502

    def test_is_not_called_on_a_blocked_network(self, issuer, settings):
        settings.ISPVM_EGRESS_ALLOW = ()

        assert Client().get(START).status_code == 502
        assert issuer.requests == []


class TestKeys:
    def test_changed_keys_are_fetched_again(self, known, issuer):
        sign_in(issuer, "rsa")
        issuer.keys = [public_jwk("rsa2")]

        assert sign_in(issuer, "rsa2").status_code == 302

    def test_withdrawn_keys_are_refused_after_the_refresh(self, known, issuer):
        sign_in(issuer, "rsa")
        issuer.keys = [public_jwk("rsa2")]
        sign_in(issuer, "rsa2")

        assert sign_in(issuer, "rsa").status_code == 401

    def test_keys_changed_under_the_same_id_are_fetched_again(self, known, issuer):
        sign_in(issuer, "rsa")
        issuer.keys = [public_jwk("rsa2", kid="rsa")]

        assert sign_in(issuer, "rsa2", kid="rsa").status_code == 302
        assert sign_in(issuer, "rsa").status_code == 401

    def test_wrong_signatures_cause_one_refresh(self, known, issuer):
        sign_in(issuer, "rsa")
        for _ in range(5):
            assert sign_in(issuer, "thief", kid="rsa").status_code == 401

        assert issuer.requests.count("/jwks") == 2
        assert sign_in(issuer, "rsa").status_code == 302

    def test_are_not_fetched_for_every_unknown_key_id(self, known, issuer):
        for _ in range(5):
            assert sign_in(issuer, "thief").status_code == 401

        assert issuer.requests.count("/jwks") <= 2


def sign_in(issuer: Issuer, key: str, kid: str = ""):
    client = Client()
    login_params = begin_login(client)
    issuer.id_token = issuer.token(login_params["nonce"], key=key, kid=kid)
    return handle_callback(client, login_params)


class TestIdentity:
    def complete_login(self, issuer, client=None, **claims):
        client = client or Client()
        login_params = begin_login(client)
        issuer.id_token = issuer.token(login_params["nonce"], **claims)
        return handle_callback(client, login_params), client

    def test_an_unknown_identity_is_refused(self, acme_noc, issuer):
        answer, client = self.complete_login(issuer, email=acme_noc.email, email_verified=True)

        assert answer.status_code == 401
        assert not is_in(client)
        assert not SocialAccount.objects.exists()

    def test_the_same_subject_of_another_issuer_is_another_identity(self, acme_noc, issuer):
        SocialAccount.objects.create(user=acme_noc, provider="https://other.example", uid="someone")

        assert self.complete_login(issuer)[0].status_code == 401

    def test_a_deactivated_user_is_refused(self, known, issuer):
        type(known).objects.filter(pk=known.pk).update(is_active=False)

        assert self.complete_login(issuer)[0].status_code == 401

    @pytest.fixture
    def provisioning_issuer(self, acme, issuer, settings):
        rules = (Rule("acme", "noc", "groups", "noc"), Rule("gone", "admin"))
        accept("acme", "corp.example")
        settings.ISPVM_OIDC_PROVIDERS = (described(issuer, provision=rules),)
        return issuer

    def ana(self, **changed):
        claims = {"email": "ana@corp.example", "email_verified": True, "groups": ["noc"]}
        return {"sub": "ana", **claims, **changed}

    def test_a_rule_provisions_a_member(self, acme, provisioning_issuer):
        answer, client = self.complete_login(provisioning_issuer, **self.ana(name="Ana Ruiz"))

        assert answer.status_code == 302
        me = client.get("/api/v1/me/").json()
        assert (me["user"]["name"], me["role"], me["tenant"]["slug"]) == ("Ana Ruiz", "noc", "acme")

    @pytest.mark.parametrize(
        "changed",
        [
            {"email_verified": False},
            {"email_verified": "true"},
            {"email_verified": ...},
            {"email": "not an address"},
            {"email": ["ana@corp.example"]},
            {"email": ...},
            {"groups": ["sales"]},
            {"groups": "nocturnal"},
            {"groups": ...},
            {"groups": {"noc": 1}},
        ],
    )
    def test_incomplete_claims_match_no_rule(self, acme, provisioning_issuer, changed):
        answer, client = self.complete_login(provisioning_issuer, **self.ana(**changed))

        assert answer.status_code == 401
        assert not is_in(client)

    def test_an_existing_account_is_not_taken_over(self, acme_noc, provisioning_issuer):
        answer, client = self.complete_login(
            provisioning_issuer, **self.ana(email=acme_noc.email.upper())
        )

        assert answer.status_code == 401
        assert not SocialAccount.objects.exists()
        assert not is_in(client)

    def test_user_info_must_have_the_same_subject(self, acme, provisioning_issuer):
        left_out = self.ana(email=..., groups=..., email_verified=...)
        provisioning_issuer.userinfo = {**self.ana(), "sub": "eve"}
        assert self.complete_login(provisioning_issuer, **left_out)[0].status_code == 401

        provisioning_issuer.userinfo = self.ana()
        assert self.complete_login(provisioning_issuer, **left_out)[0].status_code == 302
