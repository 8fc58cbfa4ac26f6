"""Required second factors, by role and for platform operators: set up or confirmed before other pages open."""

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from apps.accounts.factor_middleware import ALLOWED_VIEWS
from apps.accounts.models import Membership, User
from apps.accounts.services import issue_token
from apps.audit.models import Record
from apps.core import clock
from apps.tenancy import acting_in
from tests.accounts.operators import Caller, make_operator
from tests.accounts.test_access_table import PAGES, PUBLIC_PAGES, SIGN_IN
from tests.accounts.test_oidc_tokens import _server, begin_login, described, handle_callback, issuer
from tests.accounts.test_second_factor import CODE, code_at, first_step, set_up
from tests.clients import signed_in
from tests.conftest import PASSWORD
from tests.inventory.factories import ACTOR

pytestmark = pytest.mark.django_db
__all__ = ["_server", "issuer"]
#: A value for each converter of an address.
FILLED = {"uuid": "0" * 8 + "-0000-4000-8000-" + "0" * 12, "slug": "x", "int": "1", "str": "x"}
PAGE, ME, TENANTS = "/account/second-factor/", "/api/v1/me/", "/api/v1/platform/tenants/"


def require(tenant, *roles: str, provider: bool = False) -> None:
    tenant.second_factor_roles, tenant.accepts_provider_factor = list(roles), provider
    tenant.save()


def is_redirected(client: Client, path: str = "/") -> bool:
    answer = client.get(path)
    return answer.status_code == 302 and answer["Location"].startswith(PAGE)


def rest(client: Client, path: str = ME) -> tuple[int, str]:
    caller = Caller()
    caller.cookies = client.cookies
    answer = caller.get(path)
    return answer.status_code, answer.json().get("code", "")


class TestRole:
    def test_needs_no_factor_by_default(self, acme_noc):
        assert not is_redirected(first_step(acme_noc))

    def test_with_the_requirement_is_redirected_to_the_setup(self, acme, acme_noc):
        require(acme, "noc", "admin")
        client = first_step(acme_noc)

        assert is_redirected(client)
        assert is_redirected(client, "/account/")
        assert is_redirected(client, "/incidents/")
        assert rest(client) == (403, "second_factor_required")
        page = client.get(PAGE).content.decode()
        assert "Set up a second factor" in page
        assert "Your organization requires" in page

    def test_without_the_requirement_is_not_redirected(self, acme, acme_readonly):
        require(acme, "noc", "admin")

        assert not is_redirected(first_step(acme_readonly))

    def test_works_after_an_app_is_set_up(self, acme, acme_noc):
        require(acme, "noc")
        client = first_step(acme_noc)

        secret, _ = set_up(client)

        assert not is_redirected(client)
        assert rest(client)[0] == 200
        again = first_step(acme_noc)
        again.post(CODE, {"code": code_at(secret)})
        assert not is_redirected(again)

    def test_of_another_tenant_has_no_effect(self, acme, globex, acme_noc):
        Membership.objects.create(tenant=globex, user=acme_noc, role="admin")
        require(globex, "admin")
        client = first_step(acme_noc)
        client.post("/tenants/choose/", {"tenant": str(acme.pk)})
        assert not is_redirected(client)

        client.post("/tenants/choose/", {"tenant": str(globex.pk)})

        assert is_redirected(client)

    def test_acts_on_open_sessions_and_on_the_next_request(self, acme, acme_noc):
        client = first_step(acme_noc)
        assert not is_redirected(client)

        require(acme, "noc")
        assert is_redirected(client)

        Membership.objects.update(role="readonly")
        assert not is_redirected(client)

    def test_redirects_a_partial_too(self, acme, acme_noc):
        require(acme, "noc")

        answer = first_step(acme_noc).get("/", headers={"HX-Request": "true"})

        assert answer.status_code == 204
        assert answer["HX-Redirect"].startswith(PAGE)

    def test_redirects_back_to_a_safe_next_url(self, acme, acme_noc):
        require(acme, "noc")
        client = first_step(acme_noc)
        assert client.get("/agents/")["Location"] == f"{PAGE}?next=%2Fagents%2F"
        set_up(client)

        assert client.get(f"{PAGE}?next=/agents/")["Location"] == "/agents/"
        assert client.get(f"{PAGE}?next=https://evil.example/")["Location"] == "/"

    def test_does_not_affect_api_tokens(self, acme, acme_noc):
        require(acme, "noc")
        _, text = issue_token(tenant=acme, user=acme_noc, name="x", actor=ACTOR, at=clock.now())

        assert Caller(HTTP_AUTHORIZATION=f"Bearer {text}").get(ME).status_code == 200


class TestOtherPages:
    """No page of the whole address table opens, but those on which a factor is set up or shown."""

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_is_closed(self, acme, acme_admin, method):
        require(acme, "admin")
        client = first_step(acme_admin)
        client.raise_request_exception = False
        opened = []
        for path, _ in PAGES:
            url = "/" + re.sub(r"<(\w+):\w+>", lambda found: FILLED[found[1]], path)
            if path in PUBLIC_PAGES | SIGN_IN | {"sign-out/"} or re.search(r"[<(^]", url):
                continue
            answer = getattr(client, method)(url)
            is_closed = answer.status_code == 302 and answer["Location"].startswith(PAGE)
            if not is_closed and answer.status_code != 405:
                opened.append(url)

        allowed = {reverse(name) for name in ALLOWED_VIEWS}
        assert set(opened) <= allowed
        assert len(PAGES) > 60

    def test_shows_nothing_of_the_tenant_on_the_pages_that_are_open(self, acme, acme_admin):
        require(acme, "admin")
        client = first_step(acme_admin)

        for path in (PAGE, "/account/authenticator/", "/account/confirm/"):
            answer = client.get(path)
            assert answer.status_code == 200, path
            assert acme.name not in answer.content.decode().replace(acme_admin.label, ""), path


class TestUserWithFactor:
    """A session opened without the second factor that its user has."""

    @pytest.fixture
    def half(self, acme, acme_noc) -> tuple[Client, str, list[str]]:
        client = first_step(acme_noc)
        secret, codes = set_up(first_step(acme_noc))
        require(acme, "noc")
        assert is_redirected(client)
        return client, secret, codes

    def test_can_confirm_it(self, half):
        client, secret, _ = half
        assert "Use your second factor" in client.get(PAGE).content.decode()

        client.post("/account/confirm/", {"code": code_at(secret)})

        assert not is_redirected(client)

    def test_is_not_satisfied_by_the_password(self, half):
        client, _, _ = half

        client.post("/account/confirm/", {"password": PASSWORD})

        assert is_redirected(client)

    def test_can_use_a_recovery_code(self, half):
        client, _, codes = half

        client.post("/account/confirm/", {"code": codes[0]})

        assert not is_redirected(client)

    @pytest.mark.parametrize(
        "path",
        [
            "/account/authenticator/",
            "/account/recovery-codes/",
            "/account/passkeys/options/",
            "/account/authenticator/remove/",
        ],
    )
    def test_cannot_change_factors_before_confirming(self, half, acme_noc, path):
        client, _, _ = half
        before = list(Authenticator.objects.order_by("pk").values("pk", "data"))

        answer = client.post(path, {"code": "000000"})

        assert answer.status_code == 302
        assert answer["Location"].startswith(PAGE)
        assert list(Authenticator.objects.order_by("pk").values("pk", "data")) == before

    def test_cannot_remove_a_required_factor(self, acme, acme_noc):
        client = first_step(acme_noc)
        set_up(client)
        require(acme, "noc")

        answer = client.post("/account/authenticator/remove/")

        assert answer.status_code == 409
        assert "add another one first" in answer.content.decode()
        assert Authenticator.objects.filter(type="totp").exists()
        require(acme)
        assert client.post("/account/authenticator/remove/").status_code == 302
        assert not Authenticator.objects.exists()

    def test_can_be_set_up_again_after_a_reset(self, half, acme_noc):
        call_command("reset_second_factors", acme_noc.email)
        client = first_step(acme_noc)

        assert is_redirected(client)
        set_up(client)
        assert not is_redirected(client)


class TestPlatformOperators:
    @pytest.fixture
    def operator(self) -> User:
        user = make_operator("ops@platform.example")
        user.set_password(PASSWORD)
        user.save()
        return user

    def test_must_set_one_up_first(self, operator, acme):
        client = first_step(operator)
        assert is_redirected(client, "/tenants/")
        assert rest(client, TENANTS) == (403, "second_factor_required")
        assert "Platform operators must use a second factor" in client.get(PAGE).content.decode()

        set_up(client)

        assert client.get("/tenants/").status_code == 200
        assert rest(client, TENANTS)[0] == 200

    def test_need_one_in_their_own_tenant_too(self, operator, acme):
        Membership.objects.create(tenant=acme, user=operator, role="admin")
        client = first_step(operator)

        assert is_redirected(client)
        assert rest(client) == (403, "second_factor_required")

    def test_need_one_in_a_session_opened_before(self, operator, acme):
        client = Caller()
        client.force_login(operator)

        assert client.get(TENANTS).json()["code"] == "second_factor_required"
        assert is_redirected(client, "/tenants/")

    def test_cannot_open_a_tenant_without_one(self, operator, acme):
        with_one = Caller()
        signed_in(with_one, operator)
        body = {"tenant": str(acme.pk), "reason": "Router swap at cr1", "minutes": 10}
        path = "/api/v1/platform/access-sessions/"
        assert with_one.post(path, body, format="json").status_code == 201
        # The access session is open; another browser session of the operator needs the factor too.
        without = Caller(headers={"X-ISPVM-Tenant": str(acme.pk)})
        without.force_login(operator)

        assert without.get(ME).json()["code"] == "second_factor_required"

    def test_cannot_remove_their_last_factor(self, operator):
        client = first_step(operator)
        set_up(client)

        assert client.post("/account/authenticator/remove/").status_code == 409


class TestProvider:
    @pytest.fixture
    def complete_login(self, acme_noc, issuer, settings):
        settings.ISPVM_OIDC_PROVIDERS = (described(issuer, require_second_factor=False),)
        SocialAccount.objects.create(user=acme_noc, provider=issuer.url, uid="someone")

        def complete_login(**claims) -> Client:
            client = Client()
            login_params = begin_login(client)
            issuer.id_token = issuer.token(login_params["nonce"], **claims)
            assert handle_callback(client, login_params).status_code == 302
            return client

        return complete_login

    @pytest.mark.parametrize(
        ("accepts", "amr", "led"),
        [
            (False, ["pwd", "mfa"], True),
            (True, ["pwd", "mfa"], False),
            (True, ["pwd"], True),
            (True, ..., True),
            (True, "mfa", True),
            (True, {"mfa": 1}, True),
        ],
    )
    def test_counts_if_accepted_by_the_tenant_and_reported_by_the_provider(
        self, acme, complete_login, accepts, amr, led
    ):
        require(acme, "noc", provider=accepts)

        assert is_redirected(complete_login(amr=amr)) == led

    def test_never_counts_for_a_platform_operator(self, acme, issuer, complete_login):
        operator = make_operator()
        SocialAccount.objects.create(user=operator, provider=issuer.url, uid="root")
        Membership.objects.create(tenant=acme, user=operator, role="noc")
        require(acme, "noc", provider=True)

        assert is_redirected(complete_login(sub="root", amr=["mfa"]))

    def test_is_cleared_at_the_next_sign_in(self, acme, acme_noc, complete_login):
        require(acme, "noc", provider=True)
        client = complete_login(amr=["mfa"])

        first_step(acme_noc, client)

        assert is_redirected(client)


class TestSetting:
    def path(self, tenant) -> str:
        return f"/api/v1/tenants/{tenant.pk}/sign-in-policy/"

    def put(self, client, tenant, **values):
        body = {"second_factor_roles": ["noc"], "accepts_provider_factor": False, **values}
        return client.put(self.path(tenant), body, format="json")

    def test_by_rest(self, acme, acme_admin, acme_noc):
        client = Caller()
        signed_in(client, acme_admin)

        answer = self.put(client, acme)

        assert answer.status_code == 200, answer.content
        assert answer.json() == {"second_factor_roles": ["noc"], "accepts_provider_factor": False}
        assert client.get(self.path(acme)).json() == answer.json()
        assert is_redirected(first_step(acme_noc))
        with acting_in(acme):
            written = Record.objects.get(action="tenant.sign_in_policy_set")
        assert written.detail["before"]["second_factor_roles"] == []
        assert written.detail["after"]["second_factor_roles"] == ["noc"]

    def test_unchanged_values_write_no_record(self, acme, acme_admin):
        client = Caller()
        signed_in(client, acme_admin)
        self.put(client, acme, second_factor_roles=["noc", "admin"])

        self.put(client, acme, second_factor_roles=["admin", "noc", "noc"])

        with acting_in(acme):
            assert Record.objects.filter(action="tenant.sign_in_policy_set").count() == 1

    @pytest.mark.parametrize(
        "values",
        [
            {"second_factor_roles": ["root"]},
            {"second_factor_roles": "noc"},
            {"accepts_provider_factor": None},
        ],
    )
    def test_to_invalid_values_is_refused(self, acme, acme_admin, values):
        client = Caller()
        signed_in(client, acme_admin)

        assert self.put(client, acme, **values).status_code == 400

    def test_needs_an_admin_a_fresh_sign_in_and_the_own_tenant(
        self, acme, globex, acme_admin, acme_auditor
    ):
        stale, auditor, admin = Caller(), Caller(), Caller()
        stale.force_login(acme_admin)
        signed_in(auditor, acme_auditor)
        signed_in(admin, acme_admin)

        assert self.put(stale, acme).json()["code"] == "reauthentication_required"
        assert self.put(auditor, acme).status_code == 403
        assert self.put(admin, globex).status_code == 404

    def test_by_the_admin(self, acme, acme_admin):
        client = Client()
        signed_in(client, acme_admin)
        path = f"/admin/accounts/signinpolicy/{acme.pk}/change/"
        assert client.get(path).status_code == 200

        answer = client.post(
            path, {"second_factor_roles": ["noc", "readonly"], "accepts_provider_factor": "on"}
        )

        assert answer.status_code == 302, answer.content
        acme.refresh_from_db()
        assert acme.second_factor_roles == ["noc", "readonly"]
        assert acme.accepts_provider_factor
