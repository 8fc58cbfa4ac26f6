"""Writes to secrets, keys and roles need a recent sign-in: declared on the view, checked for all; tokens are exempt."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client

from apps.accounts.api.platform import PlatformViewSet
from apps.authorization.freshness import AUTHENTICATED_AT, FRESH_FOR
from apps.authorization.permissions import Permission
from apps.backoffice.site import admin_site
from apps.core import clock
from tests.accounts.test_access_table import REST, class_of
from tests.accounts.test_matrix import ABSENT, CASES, case_name
from tests.accounts.test_second_factor import code_at, first_step, set_up
from tests.clients import bearer
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
CONFIRM = "/account/confirm/"
TOKENS = "/api/v1/tokens/"

#: Whoever holds one of these can give out access or read what opens a router.
SENSITIVE = {Permission.TOKENS_MANAGE, Permission.MEMBERS_MANAGE, Permission.CREDENTIALS_MANAGE}
#: What of other permissions gives out a secret or takes a key away.
SECRETS = {
    ("webhook-endpoints", "create"),
    ("webhook-endpoints", "partial_update"),
    ("webhook-endpoints", "rotate_secret"),
    ("agents", "enroll_token"),
    ("agents", "revoke"),
}
ASKED = [case for case in CASES if case.action in case.view.fresh_sign_in]


def stale(client: Client) -> Client:
    session = client.session
    session[AUTHENTICATED_AT] -= FRESH_FOR.total_seconds() + 1
    session.save()
    return client


@pytest.fixture
def admin(acme_admin) -> Client:
    """An admin's browser whose last authentication is too old."""
    return stale(first_step(acme_admin))


def test_every_write_with_a_sensitive_permission_needs_fresh_sign_in():
    undeclared = [
        case_name(case)
        for case in CASES
        if case.method != "get"
        and case.permission in SENSITIVE
        and case.action not in case.view.fresh_sign_in
    ]

    assert undeclared == [], "declare fresh_sign_in beside permission_map"


def test_other_endpoints_that_return_secrets_need_fresh_sign_in():
    actions = {(case.resource.partition("/")[0], case.action) for case in ASKED}

    assert actions >= SECRETS


def test_declared_actions_exist():
    for case in CASES:
        assert case.view.fresh_sign_in <= case.view.permission_map.keys(), case.view


@pytest.mark.parametrize("case", ASKED, ids=case_name)
def test_a_session_must_confirm_and_a_token_must_not(case, admin, acme, acme_admin):
    url = case.url(dict.fromkeys(case.names, ABSENT))

    def code_of(client: Client) -> str:
        with transaction.atomic():
            answer = getattr(client, case.method)(url, {}, content_type="application/json")
            transaction.set_rollback(True)
        return answer.json()["code"] if answer.status_code >= 400 else ""

    assert code_of(admin) == "reauthentication_required"
    admin.post(CONFIRM, {"password": PASSWORD})
    assert code_of(admin) != "reauthentication_required"
    program = bearer(acme, acme_admin)
    with transaction.atomic():
        answer = getattr(program, case.method)(url, {}, format="json")
        transaction.set_rollback(True)
    assert b"reauthentication_required" not in (answer.content or b"")


def test_platform_operators_must_confirm_every_write():
    for path, entry in REST:
        view = class_of(entry)
        if issubclass(view, PlatformViewSet):
            reads = {"list", "retrieve", "mail_domains"}
            acts = view.permission_map.keys() - reads - {"destroy"}  # destroy: leaving
            assert view.fresh_sign_in == acts, path


def test_every_admin_form_with_a_sensitive_permission_needs_fresh_sign_in():
    sensitive = SENSITIVE | {Permission.WEBHOOKS_MANAGE, Permission.AGENTS_MANAGE}
    silent = [
        model.__name__
        for model, form in admin_site._registry.items()
        if form.manage_permission in sensitive
        and (form.can_add or form.can_change or form.can_delete)
        and not form.fresh_sign_in
    ]

    assert silent == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "accounts/invitation/add/"),
        ("post", "accounts/invitation/add/"),
        ("post", "accounts/membership/"),
        ("post", "vault/credentialset/add/"),
        ("get", "accounts/apitoken/add/"),
        ("post", "agents/agent/"),
    ],
)
def test_the_admin_redirects_to_the_confirmation(admin, method, path):
    answer = getattr(admin, method)(f"/admin/{path}")

    assert answer.status_code == 302
    assert answer["Location"].startswith(CONFIRM)
    admin.post(CONFIRM, {"password": PASSWORD})
    assert getattr(admin, method)(f"/admin/{path}").status_code in {200, 302, 403}


class TestConfirming:
    def test_by_password_redirects_back(self, admin):
        body = {"password": PASSWORD, "next": "/agents/?x=1"}

        answer = admin.post(CONFIRM, body)

        assert answer["Location"] == "/agents/?x=1"
        assert admin.post(TOKENS, {"name": "x"}, "application/json").status_code == 201

    def test_by_code(self, acme_admin):
        client = first_step(acme_admin)
        secret, _ = set_up(client)

        assert stale(client).post(CONFIRM, {"code": code_at(secret)}).status_code == 302
        assert client.post(TOKENS, {"name": "x"}, "application/json").status_code == 201

    @pytest.mark.parametrize("body", [{}, {"password": "wrong"}, {"code": "000000"}])
    def test_refuses_wrong_credentials(self, admin, body):
        assert admin.post(CONFIRM, body).status_code in {401, 422}
        assert admin.post(TOKENS, {"name": "x"}, "application/json").status_code == 403

    def test_is_limited(self, admin):
        statuses = [admin.post(CONFIRM, {"password": "wrong"}).status_code for _ in range(11)]

        assert statuses == [401] * 10 + [429]
        assert admin.post(CONFIRM, {"password": PASSWORD}).status_code == 429

    def test_never_redirects_to_another_host(self, admin):
        body = {"password": PASSWORD, "next": "//evil.example/"}

        assert admin.post(CONFIRM, body)["Location"] == "/account/"

    def test_lasts_fifteen_minutes(self, admin, time_machine):
        admin.post(CONFIRM, {"password": PASSWORD})
        time_machine.move_to(clock.now() + timedelta(minutes=14))
        assert admin.post(TOKENS, {"name": "a"}, "application/json").status_code == 201
        time_machine.move_to(clock.now() + timedelta(minutes=2))

        assert admin.post(TOKENS, {"name": "b"}, "application/json").status_code == 403

    def test_a_timestamp_in_the_future_is_not_fresh(self, admin, time_machine):
        admin.post(CONFIRM, {"password": PASSWORD})
        time_machine.move_to(clock.now() - timedelta(hours=1))

        assert admin.post(TOKENS, {"name": "b"}, "application/json").status_code == 403

    def test_a_session_without_a_time_is_not_fresh(self, acme_admin):
        client = Client()
        client.force_login(acme_admin)

        assert client.post(TOKENS, {"name": "b"}, "application/json").status_code == 403


class TestPages:
    @pytest.mark.parametrize(
        "path",
        [
            "authenticator/remove/",
            "recovery-codes/",
            "passkeys/options/",
            "passkeys/",
            "passkeys/1/remove/",
            "tokens/",
        ],
    )
    def test_redirect_to_the_confirmation_without_effect(self, admin, path):
        answer = admin.post(f"/account/{path}", {"name": "x", "days": "30"})

        assert answer["Location"] == f"{CONFIRM}?next=%2Faccount%2F"

    def test_redirect_back_to_the_page_with_the_form(self, admin):
        referer = {"HTTP_REFERER": "http://testserver/agents/?q=1"}
        assert admin.post("/account/tokens/", **referer)["Location"].endswith(
            "?next=%2Fagents%2F%3Fq%3D1"
        )

        forged = {"HTTP_REFERER": "https://evil.example/agents/"}
        assert admin.post("/account/tokens/", **forged)["Location"].endswith("?next=%2Faccount%2F")

    def test_a_partial_redirects_the_whole_page(self, admin):
        answer = admin.get("/account/authenticator/", headers={"HX-Request": "true"})

        assert answer.status_code == 204
        assert answer["HX-Redirect"] == f"{CONFIRM}?next=%2Faccount%2Fauthenticator%2F"
