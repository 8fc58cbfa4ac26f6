"""A tenant's identity provider signs in only users of that tenant and of its mail domains."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.core.management import CommandError, call_command
from django.test import Client

from apps.accounts.errors import MailDomainInvalid
from apps.accounts.factor_policy import store_own_factor
from apps.accounts.mail_domains import is_accepted, mail_domains_of, normalize_domain
from apps.accounts.models import MailDomain, Membership, User
from apps.accounts.oidc.config import ProvidersInvalid, Rule, read_providers
from apps.audit.models import PlatformRecord, Record
from apps.tenancy import acting_in
from tests.accounts.mail_domains import accept
from tests.accounts.operators import Caller, make_operator
from tests.accounts.test_oidc_tokens import _server, begin_login, described, handle_callback, issuer
from tests.accounts.test_second_factor import first_step, is_in
from tests.clients import signed_in
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
__all__ = ["_server", "issuer"]
EVERYBODY = (Rule("acme", "noc"),)


@pytest.fixture
def of_acme(acme, issuer, settings):
    """Acme runs it and controls all its claims."""
    settings.ISPVM_OIDC_PROVIDERS = (described(issuer, tenant="acme", provision=EVERYBODY),)
    accept("acme", "acme.example")
    return issuer


def complete_login(issuer, client: Client | None = None, **claims):
    client = client or Client()
    login_params = begin_login(client)
    issuer.id_token = issuer.token(login_params["nonce"], **claims)
    return handle_callback(client, login_params), client


def says(email: str, **more) -> dict[str, object]:
    return {"sub": email, "email": email, "email_verified": True, **more}


def known_as(user, issuer) -> str:
    SocialAccount.objects.create(user=user, provider=issuer.url, uid=user.email)
    return user.email


class TestProvisioning:
    def test_provisions_users_of_its_own_domain(self, of_acme):
        answer, client = complete_login(of_acme, **says("ana@acme.example"))

        assert answer.status_code == 302
        assert is_in(client)

    @pytest.mark.parametrize(
        "email",
        [
            "ceo@globex.example",
            "ceo@mail.acme.example",
            "ceo@acme.example.net",
            "ceo@xacme.example",
            '"ceo@acme.example"@globex.example',
        ],
    )
    def test_provisions_nobody_of_another_domain(self, of_acme, globex, email):
        """Otherwise the account exists before the other tenant invites the owner of the address."""
        answer, client = complete_login(of_acme, **says(email))

        assert answer.status_code == 401
        assert not is_in(client)
        assert not User.objects.filter(email__iexact=email).exists()

    def test_the_domain_of_one_tenant_is_not_anothers(self, of_acme, globex):
        accept("globex", "globex.example")

        assert complete_login(of_acme, **says("ceo@globex.example"))[0].status_code == 401

    def test_a_platform_provider_needs_accepted_domains_too(self, of_acme, globex, settings):
        rules = (*EVERYBODY, Rule("globex", "admin"))
        settings.ISPVM_OIDC_PROVIDERS = (described(of_acme, provision=rules),)

        complete_login(of_acme, **says("ana@acme.example"))

        assert [m.tenant.slug for m in Membership.objects.all()] == ["acme"]

    def test_case_and_a_final_dot_are_ignored(self, of_acme):
        accept("acme", "ACME.example.")

        assert complete_login(of_acme, **says("ana@Acme.EXAMPLE"))[0].status_code == 302

    def test_a_rule_for_another_tenant_is_an_invalid_setting(self):
        text = """[{"id": "a", "name": "A", "issuer": "https://a.example", "client_id": "a",
            "tenant": "acme", "provision": [{"tenant": "globex", "role": "admin"}]}]"""

        with pytest.raises(ProvidersInvalid, match="cannot add members to 'globex'"):
            read_providers(text)
        assert read_providers(text.replace("globex", "acme"))[0].tenant == "acme"

    def test_a_rule_for_another_tenant_provisions_nobody_there(self, of_acme, globex, settings):
        rules = (*EVERYBODY, Rule("globex", "admin"))
        settings.ISPVM_OIDC_PROVIDERS = (described(of_acme, tenant="acme", provision=rules),)
        accept("globex", "acme.example")

        complete_login(of_acme, **says("ana@acme.example"))

        assert [m.tenant.slug for m in Membership.objects.all()] == ["acme"]


class TestTakingOver:
    def test_signs_in_its_own_users(self, of_acme, acme_noc):
        assert complete_login(of_acme, **says(known_as(acme_noc, of_acme)))[0].status_code == 302

    @pytest.mark.parametrize("role", ["admin", "readonly"])
    def test_refuses_members_of_another_tenant_too(self, of_acme, globex, acme_noc, role):
        Membership.objects.create(tenant=globex, user=acme_noc, role=role)

        answer, client = complete_login(of_acme, **says(known_as(acme_noc, of_acme)))

        assert answer.status_code == 401
        assert not is_in(client)

    def test_refuses_members_of_another_tenant_only(self, of_acme, globex_admin):
        accept("acme", "acme.example", "globex.example")

        assert (
            complete_login(of_acme, **says(known_as(globex_admin, of_acme)))[0].status_code == 401
        )

    def test_refuses_users_of_a_withdrawn_domain(self, of_acme, acme_noc):
        accept("acme")

        assert complete_login(of_acme, **says(known_as(acme_noc, of_acme)))[0].status_code == 401

    def test_refuses_users_of_a_suspended_tenant(self, of_acme, acme, acme_noc):
        acme.is_active = False
        acme.save()

        assert complete_login(of_acme, **says(known_as(acme_noc, of_acme)))[0].status_code == 401

    def test_refuses_platform_operators(self, of_acme, acme):
        operator = make_operator("root@acme.example")
        Membership.objects.create(tenant=acme, user=operator, role="admin")

        assert complete_login(of_acme, **says(known_as(operator, of_acme)))[0].status_code == 401

    def test_users_of_another_tenant_cannot_link_it(self, of_acme, globex_admin):
        client = first_step(globex_admin)
        client.post("/account/identities/hostile/link/")

        answer, _ = complete_login(of_acme, client, **says("x@acme.example"))

        assert answer.status_code == 401
        assert not SocialAccount.objects.exists()

    def test_cannot_confirm_users_of_another_tenant(self, of_acme, globex, acme_noc):
        subject = known_as(acme_noc, of_acme)
        Membership.objects.create(tenant=globex, user=acme_noc, role="admin")
        client = first_step(acme_noc)

        now = of_acme.claims("")["iat"]
        assert complete_login(of_acme, client, **says(subject, auth_time=now))[0].status_code == 401

    def test_a_platform_provider_signs_in_members_of_two_tenants(
        self, of_acme, globex, acme_noc, settings
    ):
        settings.ISPVM_OIDC_PROVIDERS = (described(of_acme),)
        Membership.objects.create(tenant=globex, user=acme_noc, role="admin")

        assert complete_login(of_acme, **says(known_as(acme_noc, of_acme)))[0].status_code == 302


class TestSession:
    """Sessions that it opened end when it may no longer sign the user in, and cannot change sign-in methods."""

    @pytest.fixture
    def client(self, of_acme, acme_noc) -> Client:
        client = complete_login(of_acme, **says(known_as(acme_noc, of_acme)))[1]
        assert is_in(client)
        return client

    def test_ends_when_the_user_joins_another_tenant(self, client, globex, acme_noc):
        Membership.objects.create(tenant=globex, user=acme_noc, role="admin")

        assert not is_in(client)
        assert client.get("/account/").status_code == 302

    def test_ends_when_the_domain_is_withdrawn(self, client):
        accept("acme")

        assert not is_in(client)

    def test_ends_when_the_provider_is_removed(self, client, settings):
        settings.ISPVM_OIDC_PROVIDERS = ()

        assert not is_in(client)

    def test_opened_by_a_password_does_not_end(self, of_acme, acme_noc, globex):
        client = first_step(acme_noc)
        accept("acme")

        assert is_in(client)

    def test_cannot_set_a_first_password(self, client, acme_noc):
        acme_noc.set_unusable_password()
        User.objects.filter(pk=acme_noc.pk).update(password=acme_noc.password)
        # The changed password has ended the session: it is opened anew by the provider.
        fresh = Client()
        fresh.force_login(User.objects.get(pk=acme_noc.pk))
        session = fresh.session
        session.update({**dict(client.session.items()), **dict(session.items())})
        session["tenant_provider"] = "hostile"
        session["authenticated_at"] = client.session["authenticated_at"]
        session.save()

        body = {"password": PASSWORD + "2", "password_confirm": PASSWORD + "2"}
        assert fresh.post("/account/password/", body).status_code == 403
        acme_noc.refresh_from_db()
        assert not acme_noc.has_usable_password()

    @pytest.mark.parametrize(
        "path",
        [
            "/account/passkeys/options/",
            "/account/passkeys/",
            "/account/identities/hostile/link/",
            "/account/authenticator/",
            "/account/authenticator/remove/",
        ],
    )
    def test_cannot_add_sign_in_methods(self, client, path):
        answer = client.post(path)

        assert (answer.status_code, b"provider" in answer.content) == (403, True)

    def test_cannot_change_factors_or_identities(self, client, acme_noc):
        """Not even in a session in which the user confirmed their own factor."""
        factors = [
            Authenticator.objects.create(user=acme_noc, type=kind, data={})
            for kind in (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
        ]
        session = client.session
        session["second_factor"] = "own"
        session.save()
        identity = SocialAccount.objects.get(user=acme_noc)
        paths = [
            "authenticator/remove/",
            f"passkeys/{factors[1].pk}/remove/",
            "recovery-codes/",
            f"identities/{identity.pk}/unlink/",
        ]

        answers = {path: client.post(f"/account/{path}").status_code for path in paths}

        assert answers == dict.fromkeys(paths, 403)
        assert Authenticator.objects.filter(user=acme_noc).count() == 2
        assert SocialAccount.objects.filter(user=acme_noc).exists()

    def test_is_replaced_by_a_password_sign_in(self, client, acme_noc):
        first_step(acme_noc, client)

        assert client.post("/account/passkeys/options/").status_code == 200


class TestDomains:
    @pytest.mark.parametrize(
        ("text", "domain"),
        [
            ("Example.NET", "example.net"),
            (" example.net. ", "example.net"),
            ("bücher.example", "xn--bcher-kva.example"),
        ],
    )
    def test_are_normalized(self, text, domain):
        assert normalize_domain(text) == domain

    @pytest.mark.parametrize(
        "text",
        [
            *("", "example", "*.example.net", "a@example.net", "-a.example", "a..example"),
            *(
                "a b.example",
                "x" * 64 + ".example",
                "a." * 130 + "example",
                "\x00.example",
                "ü" * 70,
            ),
        ],
    )
    def test_invalid_domains_are_refused(self, acme, text):
        with pytest.raises(MailDomainInvalid):
            normalize_domain(text)
        assert not is_accepted(acme, f"a@{text}")

    def test_are_audited_for_the_tenant_and_the_platform(self, acme):
        accept("acme", "a.example", "b.example")
        accept("acme", "b.example")

        expected = [("mail_domain.accepted", "a.example"), ("mail_domain.accepted", "b.example")]
        expected.append(("mail_domain.withdrawn", "a.example"))
        with acting_in(acme):
            rows = list(Record.objects.order_by("sequence").values_list("action", "detail"))
        assert [(action, detail["domain"]) for action, detail in rows] == expected
        rows = PlatformRecord.objects.order_by("sequence").values_list("action", "detail")
        assert [(action, detail["domain"]) for action, detail in rows] == expected

    def test_of_one_tenant_are_hidden_from_another(self, acme, globex):
        accept("acme", "acme.example")

        assert mail_domains_of(globex) == []
        with acting_in(globex):
            assert not MailDomain.objects.exists()

    def test_are_accepted_by_a_command(self, acme, capsys):
        call_command("mail_domains", "accept", "acme", "Acme.example", "acme.net")
        call_command("mail_domains", "withdraw", "acme", "acme.net")
        call_command("mail_domains", "list", "acme")

        assert [row.domain for row in mail_domains_of(acme)] == ["acme.example"]
        assert capsys.readouterr().out.splitlines()[-1].startswith("acme.example  since")
        for args in (["accept", "nobody", "x.example"], ["accept", "acme", "x"]):
            with pytest.raises(CommandError):
                call_command("mail_domains", *args)


class TestRest:
    @pytest.fixture
    def path(self, acme) -> str:
        return f"/api/v1/platform/tenants/{acme.pk}/mail-domains/"

    def test_platform_operators_accept_them(self, acme, path):
        root = Caller()
        signed_in(root, make_operator())

        created = root.put(path, {"domains": ["Acme.example"]}, format="json")

        assert created.status_code == 200, created.content
        assert [row["domain"] for row in created.json()] == ["acme.example"]
        assert created.json()[0]["accepted_by"] == "Root Operator"
        assert root.get(path).json() == created.json()
        assert root.put(path, {"domains": ["x"]}, format="json").status_code == 422
        assert root.put(path, {"domains": []}, format="json").json() == []

    def test_a_tenants_admin_cannot_accept_them(self, acme_admin, path):
        client = Caller()
        signed_in(client, acme_admin)

        assert client.get(path).status_code == 403
        assert client.put(path, {"domains": ["a.example"]}, format="json").status_code == 403

    def test_needs_a_fresh_sign_in(self, path):
        root = Caller()
        root.force_login(make_operator())
        session = root.session
        store_own_factor(session)
        session.save()

        answer = root.put(path, {"domains": []}, format="json")
        assert answer.json()["code"] == "reauthentication_required"

    def test_a_tenants_admin_sees_them_in_the_admin(self, acme_admin):
        accept("acme", "acme.example")
        client = Client()
        client.force_login(acme_admin)

        assert b"acme.example" in client.get("/admin/accounts/maildomain/").content
