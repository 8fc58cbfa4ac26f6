"""API tokens with `ends_with_password`: revoked in every tenant, with the tokens created with them, and no others."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from apps.accounts.models import ApiToken, Membership
from apps.accounts.passwords import replace_password
from apps.accounts.services import issue_token
from apps.audit.models import Record
from apps.authorization.actors import Actor
from apps.core import clock
from apps.tenancy import acting_in
from tests.accounts.operators import Caller
from tests.accounts.test_second_factor import first_step
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
NEW = "another-correct-horse"
TOKENS = "/api/v1/tokens/"


def change(user) -> None:
    body = {"current": PASSWORD, "password": NEW, "password_confirm": NEW}
    assert first_step(user).post("/account/password/", body).status_code == 200


def make(user, *, client=None, **more) -> str:
    client = client or first_step(user)
    answer = client.post(TOKENS, {"name": "bridge", **more}, content_type="application/json")
    assert answer.status_code == 201, answer.content
    return answer.json()["token"]


def status(token: str) -> int:
    return Caller(HTTP_AUTHORIZATION=f"Bearer {token}").get("/api/v1/me/").status_code


def test_a_token_with_ends_with_password_is_revoked_with_it(acme_admin):
    ending, staying = make(acme_admin, ends_with_password=True), make(acme_admin)
    assert (status(ending), status(staying)) == (200, 200)

    change(acme_admin)

    assert (status(ending), status(staying)) == (401, 200)
    with acting_in(acme_admin.memberships.get().tenant):
        assert Record.objects.filter(action="token.revoked").count() == 1


def test_a_wrong_current_password_ends_nothing(acme_admin):
    token = make(acme_admin, ends_with_password=True)
    body = {"current": "wrong", "password": NEW, "password_confirm": NEW}

    first_step(acme_admin).post("/account/password/", body)

    assert status(token) == 200


def test_tokens_in_other_tenants_are_revoked_too(acme, globex, acme_admin):
    Membership.objects.create(tenant=globex, user=acme_admin, role="noc")
    at = clock.now()
    texts = [
        issue_token(
            tenant=tenant,
            user=acme_admin,
            name="x",
            actor=Actor.system("test"),
            at=at,
            ends_with_password=True,
        )[1]
        for tenant in (acme, globex)
    ]

    replace_password(user=acme_admin, password=NEW, actor=Actor.system("test"), at=at)

    assert [status(text) for text in texts] == [401, 401]


def test_tokens_of_other_users_are_not_revoked(acme_admin, globex_admin):
    token = make(globex_admin, ends_with_password=True)

    change(acme_admin)

    assert status(token) == 200


def test_a_child_token_is_revoked_with_its_parent(acme_admin):
    maker = make(acme_admin, ends_with_password=True)
    token_client = Client(HTTP_AUTHORIZATION=f"Bearer {maker}")
    child = make(acme_admin, client=token_client, ends_with_password=False)

    assert ApiToken.objects.order_by("-created_at").first().ends_with_password
    change(acme_admin)

    assert status(child) == 401


def test_the_account_page_creates_and_shows_it(acme_admin):
    client = first_step(acme_admin)
    client.post("/account/tokens/", {"name": "a", "days": "90", "ends_with_password": "on"})
    client.post("/account/tokens/", {"name": "b", "days": "90"})

    assert dict(ApiToken.objects.values_list("name", "ends_with_password")) == {
        "a": True,
        "b": False,
    }
    assert client.get("/account/").content.decode().count("or when the password changes") == 1


@pytest.mark.parametrize("scopes", [["inventory.fly"], ["inventory.view", "inventory.fly"], [""]])
def test_the_account_page_refuses_an_unknown_scope(acme_admin, scopes):
    """If it were dropped, the token would have all permissions."""
    body = {"name": "a", "days": "90", "scopes": scopes}
    answer = first_step(acme_admin).post("/account/tokens/", body)

    assert answer.status_code == 422
    assert b"unknown" in answer.content
    assert not ApiToken.objects.exists()


def test_the_admin_creates_it(acme_admin):
    client = first_step(acme_admin)
    body = {"name": "c", "days": "30", "ends_with_password": "on"}

    assert client.post("/admin/accounts/apitoken/add/", body).status_code == 302
    assert ApiToken.objects.get().ends_with_password


def test_only_replace_password_sets_passwords():
    """All code that replaces a password calls ``passwords.replace_password``."""
    apps = Path(settings.BASE_DIR) / "apps"
    places = {
        str(path.relative_to(apps))
        for path in apps.rglob("*.py")
        if re.search(r"\.set_password\(|\.password = |make_password\(", path.read_text())
    }

    assert places == {
        "accounts/passwords.py",
        # A new person, who has no tokens yet.
        "accounts/models/users.py",
        # An account that is taken over by its address's owner: every token ends there.
        "accounts/users.py",
        "lab/seed/users.py",
    }
