"""Account takeover: another tenant's admin creates an account of a user's address before their tenant invites them."""

from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts import accept_invitation
from apps.accounts.errors import AddressNotVerified, SignInFirst
from apps.accounts.invitations import mail_key
from apps.accounts.models import Invitation, Membership, User
from apps.accounts.password_reset import BY_MAIL, password_reset_link, reset_password
from apps.accounts.services import create_user
from apps.accounts.users import account_name, local_account_name, may_be_taken_over, take_over
from apps.core import clock
from apps.tenancy import acting_in
from tests.accounts.operators import Caller, make_operator
from tests.accounts.test_session_tenant import Browser
from tests.clients import signed_in
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db

VICTIM, CHOSEN = "victim@acme.example", "chosen-by-the-attacker"


@pytest.fixture
def attacker(globex, globex_admin) -> Browser:
    return signed_in(Browser(), globex_admin)


@pytest.fixture
def admin(acme, acme_admin) -> Browser:
    return signed_in(Browser(), acme_admin)


def post(client, path: str, **body):
    return client.post(f"/api/v1/{path}/", body, "application/json")


def sign_in(name: str) -> Caller | None:
    client = Caller()
    answer = client.post("/sign-in/", {"email": name, "password": CHOSEN}, format="multipart")
    return client if answer.status_code == 302 else None


def reaches(client: Caller | None, tenant) -> bool:
    if client is None:
        return False
    answer = client.get("/api/v1/me/", headers={"X-ISPVM-Tenant": str(tenant.pk)})
    return answer.status_code == 200


@pytest.mark.parametrize("channel", ["memberships", "admin"])
def test_account_created_with_a_password_of_the_attacker(acme, admin, attacker, channel):
    body = {"email": VICTIM, "name": "Victim", "role": "noc", "password": CHOSEN}
    if channel == "admin":
        attacker.post("/admin/accounts/membership/add/", body)
    else:
        post(attacker, channel, **body)

    post(admin, "memberships", email=VICTIM, role="admin", name="Victim")

    assert not reaches(sign_in(VICTIM), acme)
    assert not User.objects.filter(email=VICTIM).exists()


def test_invitation_link_kept_by_the_attacker(acme, globex, admin, attacker):
    link = post(attacker, "invitations", email=VICTIM, role="noc").json()["link"]
    key = link.partition("?key=")[2]
    accept_invitation.accept_as_new(key=key, name="Victim", password=CHOSEN, at=clock.now())

    theirs = post(admin, "invitations", email=VICTIM, role="admin").json()["link"]

    squatter = sign_in(f"globex:{VICTIM}")
    assert reaches(squatter, globex), "in the attacker's own tenant"
    assert not reaches(squatter, acme)
    assert squatter.get("/api/v1/my-invitations/").json() == {"results": []}
    with acting_in(acme):
        pk = Invitation.objects.get().pk
    assert squatter.post(f"/tenants/invitations/{pk}/accept/").status_code == 404
    assert squatter.post(f"/tenants/invitations/{pk}/decline/").status_code == 404
    squatter.get(f"/invitation/?key={theirs.partition('?key=')[2]}")
    assert squatter.post("/invitation/").status_code == 403
    assert sign_in(VICTIM) is None, "the address itself is still free for its owner"
    assert Membership.objects.filter(tenant=acme).count() == 1


def test_invitation_is_invalid_after_its_inviter_lost_the_permission(acme, acme_admin, admin):
    """An admin who is about to be removed invites a second account of theirs."""
    link = post(admin, "invitations", email="second@self.example", role="admin").json()["link"]
    Membership.objects.filter(user=acme_admin).update(role="readonly")

    client = Browser()
    client.get(f"/invitation/?key={link.partition('?key=')[2]}")

    assert client.post("/invitation/", {"password": CHOSEN}).status_code == 404


class TestOfTokens:
    """An invitation by a token has at most its permissions and lifetime."""

    def token(self, acme, acme_admin, **fields):
        from tests.accounts.test_token_escalation import program

        return program(acme, acme_admin, **fields)

    def test_a_scoped_token_cannot_invite_with_a_wider_role(self, acme, acme_admin):
        narrow = self.token(acme, acme_admin, scopes=["members.manage", "members.view"])

        for path in ("invitations", "memberships"):
            answer = narrow.post(f"/api/v1/{path}/", {"email": VICTIM, "role": "readonly"})
            assert (answer.status_code, answer.json()["code"]) == (422, "scope_not_held")

    def test_an_invitation_expires_with_the_token_that_created_it(self, acme, acme_admin):
        short = self.token(acme, acme_admin, days=1)

        short.post("/api/v1/invitations/", {"email": VICTIM, "role": "noc"})

        with acting_in(acme):
            invitation = Invitation.objects.get()
        assert invitation.expires_at == acme_admin.api_tokens.get().expires_at

    @pytest.mark.parametrize("end", ["revoked", "its person removed"])
    def test_its_invitations_end_with_the_token(self, acme, acme_admin, end):
        token = self.token(acme, acme_admin)
        answer = token.post("/api/v1/invitations/", {"email": VICTIM, "role": "noc"})
        key = answer.json()["link"].partition("?key=")[2]
        if end == "revoked":
            acme_admin.api_tokens.update(revoked_at=clock.now())
        else:
            Membership.objects.filter(user=acme_admin).delete()

        client = Browser()
        client.get(f"/invitation/?key={key}")

        assert client.post("/invitation/", {"password": CHOSEN}).status_code == 404

    def test_a_token_cannot_accept_for_its_user(self, acme, globex, acme_noc, attacker):
        User.objects.filter(pk=acme_noc.pk).update(email_verified_at=clock.now())
        post(attacker, "invitations", email=acme_noc.email, role="admin")
        with acting_in(globex):
            pk = Invitation.objects.get().pk
        token = self.token(acme, acme_noc)

        assert token.get("/api/v1/my-invitations/").status_code == 401
        assert token.post(f"/api/v1/my-invitations/{pk}/accept/").status_code == 401
        assert not Membership.objects.filter(tenant=globex, user=acme_noc).exists()


class TestOwnInvitations:
    """Invitations to the verified address of the user."""

    @pytest.fixture
    def noc(self, acme_noc) -> User:
        User.objects.filter(pk=acme_noc.pk).update(email_verified_at=clock.now())
        return acme_noc

    def rows(self, client) -> list[dict]:
        return client.get("/api/v1/my-invitations/").json()["results"]

    def test_are_shown_after_signing_in(self, noc, attacker):
        post(attacker, "invitations", email=noc.email.upper(), role="readonly")
        client = Browser()

        body = {"email": noc.email, "password": "correct-horse-battery"}
        assert client.post("/sign-in/", body)["Location"] == "/tenants/"
        page = client.get("/tenants/").content.decode()
        assert "Globex Fibre" in page
        assert "Read only" in page

    def test_declining_reveals_nothing_about_the_user(self, globex, noc, attacker):
        post(attacker, "invitations", email=noc.email, role="noc")
        client = signed_in(Browser(), noc)
        (row,) = self.rows(client)

        assert client.post(f"/api/v1/my-invitations/{row['id']}/decline/").status_code == 204

        assert self.rows(client) == []
        assert client.post(f"/api/v1/my-invitations/{row['id']}/accept/").status_code == 404
        listing = attacker.get("/api/v1/invitations/").json()["results"][0]
        assert listing["declined_at"]
        text = str(listing) + attacker.get("/api/v1/audit/").content.decode()
        assert str(noc.pk) not in text
        assert noc.label not in text

    def test_invitations_of_other_users_are_not_found(self, noc, acme_readonly, attacker):
        post(attacker, "invitations", email=noc.email, role="noc")
        client = signed_in(Browser(), acme_readonly)
        pk = attacker.get("/api/v1/invitations/").json()["results"][0]["id"]

        absent = "00000000-0000-4000-8000-000000000000"
        answers = [client.post(f"/api/v1/my-invitations/{n}/accept/") for n in (pk, absent, "x")]

        assert [a.status_code for a in answers] == [404] * 3
        assert len({a.content for a in answers}) == 1

    @pytest.mark.parametrize("end", ["revoked", "expired", "replaced", "suspended"])
    def test_end(self, globex, noc, attacker, end, time_machine):
        post(attacker, "invitations", email=noc.email, role="noc")
        client = signed_in(Browser(), noc)
        (row,) = self.rows(client)
        if end == "revoked":
            attacker.delete(f"/api/v1/invitations/{row['id']}/")
        elif end == "replaced":
            post(attacker, "invitations", email=noc.email, role="readonly")
        elif end == "suspended":
            globex.is_active = False
            globex.save()
        else:
            with acting_in(globex):
                Invitation.objects.update(expires_at=clock.now())

        assert client.post(f"/api/v1/my-invitations/{row['id']}/accept/").status_code == 404
        assert not Membership.objects.filter(tenant=globex, user=noc).exists()

    def test_a_tenant_can_invite_one_address_five_times_a_day(self, noc, attacker):
        codes = [
            post(attacker, "invitations", email=noc.email, role="noc").status_code for _ in range(6)
        ]

        assert codes == [201] * 5 + [409]


class TestProtectedAccounts:
    """An unverified account with a second factor, or whose user must have one, is not taken over by a mailed link."""

    @pytest.fixture(autouse=True)
    def _mail(self, settings):
        settings.ISPVM_MAIL_CONFIGURED = True
        settings.ISPVM_MAIL_FROM = "monitor@isp.example"

    @pytest.fixture(params=["second factor", "policy", "operator"])
    def protected(self, request, acme, acme_noc) -> User:
        user = acme_noc
        if request.param == "policy":
            acme.second_factor_roles = ["noc"]
            acme.save()
        elif request.param == "second factor":
            Authenticator.objects.create(user=user, type="totp", data={"secret": "x"})
        else:
            user = make_operator()
        Authenticator.objects.create(user=user, type="recovery_codes", data={"seed": "x"})
        SocialAccount.objects.create(user=user, provider="https://id.example", uid="1")
        user.refresh_from_db()
        return user

    def factors(self, user: User) -> tuple[int, int]:
        return Authenticator.objects.filter(user=user).count(), SocialAccount.objects.filter(
            user=user
        ).count()

    def test_a_reset_keeps_second_factors_and_identities(self, protected):
        before = self.factors(protected)
        key = password_reset_link(protected, channel=BY_MAIL).partition("?key=")[2]

        reset_password(key=key, password=CHOSEN, at=clock.now())

        protected.refresh_from_db()
        assert self.factors(protected) == before
        assert protected.check_password(CHOSEN)
        assert protected.email_verified_at is None, "the reset does not prove the address"

    def test_an_invitation_requires_sign_in(self, globex, attacker, protected):
        key = self.invited(globex, attacker, protected)
        before = self.factors(protected), protected.password

        with pytest.raises(SignInFirst):
            accept_invitation.accept_as_new(key=key, name="x", password=CHOSEN, at=clock.now())

        protected.refresh_from_db()
        assert (self.factors(protected), protected.password) == before
        assert not Membership.objects.filter(tenant=globex, user=protected).exists()
        client = Browser()
        client.get(f"/invitation/?key={key}")
        assert client.post("/invitation/", {"password": CHOSEN}).status_code == 403
        assert b'name="password"' not in client.get("/invitation/").content

    def test_a_concurrently_added_factor_prevents_the_takeover(self, acme_noc):
        """``take_over`` checks again under the lock."""
        Authenticator.objects.create(user=acme_noc, type="totp", data={"secret": "x"})

        with pytest.raises(SignInFirst):
            take_over(user=acme_noc, password=CHOSEN, at=clock.now())

        assert self.factors(acme_noc) == (1, 0)

    def test_a_deactivated_operator_stays_protected(self):
        operator = make_operator("former@platform.example")
        operator.is_active = False

        assert not may_be_taken_over(operator)

    def test_verify_email_lets_the_user_accept(self, globex, attacker, protected):
        key = self.invited(globex, attacker, protected)
        with pytest.raises(AddressNotVerified, match="verify_email"):
            accept_invitation.accept_link(key=key, user=protected, at=clock.now())

        call_command("verify_email", protected.email, stdout=StringIO())

        protected.refresh_from_db()
        assert accept_invitation.accept_link(key=key, user=protected, at=clock.now()) == globex

    def invited(self, tenant, admin, user: User) -> str:
        assert post(admin, "invitations", email=user.email, role="noc").status_code == 201
        with acting_in(tenant):
            return mail_key(Invitation.objects.get())


class TestOneTenant:
    """Where the address alone is enough to sign in, an account with exactly that address has precedence."""

    @pytest.fixture
    def operator(self, acme) -> User:
        operator = make_operator()
        operator.set_password(PASSWORD)
        operator.save()
        self.local(acme, operator.email)
        return operator

    def local(self, acme, address: str) -> User:
        name = local_account_name(acme, address)
        user = create_user(email=name, password=CHOSEN, local_tenant=acme)
        Membership.objects.create(tenant=acme, user=user, role="noc")
        return user

    def test_a_local_account_does_not_lock_out_an_operator(self, acme, operator):
        body = {"email": operator.email, "password": PASSWORD}

        assert Browser().post("/sign-in/", body).status_code == 302
        assert sign_in(operator.email) is None
        assert reaches(sign_in(f"acme:{operator.email}"), acme)

    def test_the_command_uses_the_exact_name(self, operator):
        out = StringIO()
        call_command("reset_password", operator.email, stdout=out)

        assert operator.pk.hex in out.getvalue()

    def test_mail_goes_to_the_account_of_the_address(self, operator):
        assert account_name(operator.email) == operator.email
        assert account_name(operator.email.upper()) == operator.email.upper()

    def test_a_local_account_signs_in_by_address_alone(self, acme):
        self.local(acme, VICTIM)

        assert reaches(sign_in(VICTIM), acme)

    def test_query_count_is_the_same_whichever_account_exists(self, acme, operator, acme_noc):
        self.local(acme, VICTIM)
        costs = []
        for name in (operator.email, VICTIM, acme_noc.email, "nobody@acme.example"):
            with CaptureQueriesContext(connection) as queries:
                account_name(name)
            costs.append(len(queries))

        assert costs == [2] * 4
