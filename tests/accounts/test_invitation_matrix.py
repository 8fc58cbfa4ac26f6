"""User states x sign-in methods: invited, attacked, adopted, renamed, removed, invited again, in two tenants.

The expectation of each case is written here from the rules in docs/adr/0016, not taken from the code under test.
"""

import re
from io import StringIO
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts import invitations
from apps.accounts.models import Invitation, Membership, User
from apps.accounts.services import create_user
from apps.accounts.users import local_account_name
from apps.audit.models import Record
from apps.authorization.choices import Role
from apps.core import clock
from apps.mail.models import Message
from apps.mail.tasks import send
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from tests.accounts.test_session_tenant import Browser
from tests.clients import WHO_TESTS, signed_in

pytestmark = pytest.mark.django_db

ADDRESS = "victim@home.example"
OWN, SQUATTED, NEW = "the-owners-own-words", "chosen-by-a-stranger", "chosen-after-accepting"
#: What is known of the address before acme invites it.
STATES = ("unknown", "verified elsewhere", "squatted", "account of globex", "former member")
WAYS = ("rest invitations", "rest memberships", "admin page", "command")
MAIL = (False, True)
_decisions = count()


class Case(NamedTuple):
    state: str
    way: str
    is_mailed: bool

    def __str__(self) -> str:
        return f"{self.state}, {self.way}, {'mail' if self.is_mailed else 'no mail'}"


CASES = [Case(state, way, mail) for state in STATES for way in WAYS for mail in MAIL]


def check(is_right: object, why: str) -> None:
    """Assert one expectation of the matrix, and count it."""
    next(_decisions)
    assert is_right, why


@pytest.fixture(autouse=True)
def _mail(settings):
    settings.ISPVM_MAIL_FROM = "monitor@isp.example"


@pytest.fixture
def admin(acme, acme_admin) -> Client:
    return signed_in(Browser(), acme_admin)


def prepare(case: Case, acme: Tenant, globex: Tenant) -> None:
    """Create the state of the address."""
    now = clock.now()
    if case.state == "verified elsewhere":
        user = create_user(email=ADDRESS, password=OWN, full_name="Vic Tim", verified_at=now)
        Membership.objects.create(tenant=globex, user=user, role=Role.NOC)
    elif case.state == "squatted":
        # As versions before this one made accounts: by another tenant's admin, with a password of their choice.
        user = User.objects.create_user(ADDRESS, SQUATTED, first_name="Squatted")
        Membership.objects.create(tenant=globex, user=user, role=Role.ADMIN)
    elif case.state == "account of globex":
        user = create_user(
            email=local_account_name(globex, ADDRESS), password=SQUATTED, local_tenant=globex
        )
        Membership.objects.create(tenant=globex, user=user, role=Role.NOC)
    elif case.state == "former member":
        create_user(email=ADDRESS, password=OWN, full_name="Vic Tim", verified_at=now)


def invite(case: Case, admin: Client, acme: Tenant, settings: Any) -> tuple[str, str]:
    """Invite by this method; returns the response to the admin and the link, if it was not mailed."""
    settings.ISPVM_MAIL_CONFIGURED = case.is_mailed
    body = {"email": ADDRESS, "role": "noc"}
    if case.way == "command":
        out = StringIO()
        call_command("invite", acme.slug, ADDRESS, "--role", "noc", stdout=out)
        text = out.getvalue()
    elif case.way == "admin page":
        answer = admin.post("/admin/accounts/invitation/add/", body, follow=True)
        assert answer.status_code == 200
        text = "\n".join(str(m) for m in answer.context["messages"])
    else:
        path = "/api/v1/memberships/" if case.way == "rest memberships" else "/api/v1/invitations/"
        answer = admin.post(path, body, "application/json")
        assert answer.status_code == 201, answer.content
        text = answer.content.decode()
    links = re.findall(r"http://127\.0\.0\.1:8000/invitation/\?key=[\w.-]+", text)
    shape = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[^\"]+", "#", text)
    for link in links:
        shape = shape.replace(link, "LINK")
    return shape, links[0] if links else ""


def mailed_link(outbox: list[Any]) -> str:
    """Send the mail as the worker does; returns the link in it."""
    message = Message.objects.filter(kind="accounts.invitation").latest("created_at")
    send(tenant_id=str(message.tenant_id), ref=str(message.pk))
    assert outbox[-1].to == [ADDRESS]
    (link,) = [word for word in outbox[-1].body.split() if "?key=" in word]
    return link


def open_link(link: str, client: Client) -> Any:
    client.get("/invitation/", {"key": parse_qs(urlsplit(link).query)["key"][0]})
    return client.get("/invitation/")


def visible_to_admin(acme: Tenant, admin: Client) -> str:
    """Everything about users that acme can read."""
    paths = ("users", "memberships", "invitations")
    pages = [admin.get(f"/api/v1/{path}/").content.decode() for path in paths]
    pages += [
        admin.get("/admin/accounts/membership/").content.decode(),
        admin.get("/admin/accounts/invitation/").content.decode(),
        admin.get("/api/v1/audit/").content.decode(),
    ]
    with acting_in(acme):
        pages += [str(row) for row in Record.objects.values("actor", "detail", "entity_id")]
    return "\n".join(pages)


def members(tenant: Tenant) -> set[str]:
    return set(Membership.objects.filter(tenant=tenant).values_list("user__email", flat=True))


def sign_in(name: str, password: str) -> Client | None:
    client = Browser()
    answer = client.post("/sign-in/", {"email": name, "password": password})
    return client if answer.status_code == 302 else None


@pytest.mark.parametrize("case", CASES, ids=str)
def test_invitation_life_cycle(case, acme, globex, acme_admin, admin, settings, mailoutbox):
    prepare(case, acme, globex)
    link, squatter = check_invitation_and_attack(case, acme, globex, acme_admin, admin, settings)
    link = mailed_link(mailoutbox) if case.is_mailed else link
    owner = accept_invitation_as_owner(case, link)
    joined = check_membership(case, squatter)
    here = check_rename_keeps_session(owner, acme, globex)
    check_removal(case, joined, acme, admin, owner if here == "acme" else None)

    # Invited again, and adopted again.
    is_own = case.state in {"verified elsewhere", "former member"}
    _, link = invite(case, admin, acme, settings)
    check(members(acme) == {acme_admin.email}, "not a member before they accept again")
    link = mailed_link(mailoutbox) if case.is_mailed else link
    password = OWN if is_own else NEW
    accept_invitation_as_owner(case, link, has_account=is_own or case.is_mailed, password=password)
    rejoined = User.objects.get(memberships__tenant=acme, memberships__role=Role.NOC)
    is_same = rejoined.pk == joined.pk
    check(is_same == (joined.local_tenant_id is None), "a person stays one, a former account ends")
    check(is_globex_unchanged(case, globex), "the other tenant's member is who they were")


def check_invitation_and_attack(case, acme, globex, acme_admin, admin, settings) -> tuple[str, Any]:
    """Invite; then the squatter and the admin attack. Returns the admin's link, and the squatter's browser."""
    before = dict(User.objects.filter(email__iendswith=ADDRESS).values_list("email", "password"))

    # The answer is that of an unknown address, and nothing is made or shown.
    shape, link = invite(case, admin, acme, settings)
    with transaction.atomic():
        User.objects.filter(email__iendswith=ADDRESS).update(email="x@gone.example")
        unknown, _ = invite(case, admin, acme, settings)
        transaction.set_rollback(True)
    check(shape == unknown, "the answer is the same whatever is known")
    check(bool(link) != case.is_mailed, "the admin holds a link only where no mail is sent")
    check(members(acme) == {acme_admin.email}, "an invitation makes no member")
    shown = visible_to_admin(acme, admin)
    known = User.objects.filter(email__iendswith=ADDRESS)
    check(
        not [u for u in known if str(u.pk) in shown or "Vic Tim" in shown or "Squatted" in shown],
        "no id and no name of a person before they accept",
    )
    after = dict(User.objects.filter(email__iendswith=ADDRESS).values_list("email", "password"))
    check(after == before, "no account is made or changed by inviting")

    # The squatter, who knows a password of an account that was never proven.
    squatter = None
    if case.state in {"squatted", "account of globex"}:
        name = ADDRESS if case.state == "squatted" else local_account_name(globex, ADDRESS)
        squatter = sign_in(name, SQUATTED)
        assert squatter is not None
        squatter.get("/tenants/")
        check(
            squatter.get("/api/v1/my-invitations/").json() == {"results": []},
            "an unproven account sees no invitation",
        )
        with acting_in(acme):
            pk = Invitation.objects.latest("created_at").pk
        answer = squatter.post(f"/api/v1/my-invitations/{pk}/accept/")
        check(answer.status_code == 404, "nor accepts it by its id")
        if link:
            open_link(link, squatter)
            check(squatter.post("/invitation/").status_code == 403, "nor by the link")
        check(members(acme) == {acme_admin.email}, "the squatter is no member")

    # The admin opens the link that they hold.
    if link:
        page = open_link(link, Browser()).content.decode()
        check("Create account and accept" in page, "the page looks as for an unknown address")
        check("Vic Tim" not in page, "and names nobody")

    return link, squatter


def check_membership(case: Case, squatter: Any) -> User:
    """Check the account that became a member, and return it."""
    joined = User.objects.get(memberships__tenant__slug="acme", memberships__role=Role.NOC)
    is_own = case.state in {"verified elsewhere", "former member"}
    if is_own or case.is_mailed:
        check(joined.email == ADDRESS, "the account of the address")
        check(joined.email_verified_at is not None, "and proven")
    else:
        check(joined.email == f"acme:{ADDRESS}", "an account of this tenant alone")
        check(joined.email_verified_at is None, "and not proven")
    check(joined.check_password(OWN if is_own else NEW), "with the owner's password")
    if case.state == "squatted" and case.is_mailed:
        check(sign_in(ADDRESS, SQUATTED) is None, "the squatter's password is over")
        check(squatter.get("/api/v1/me/").status_code in {401, 403}, "and the squatter's session")
    return joined


def check_rename_keeps_session(owner: Client, acme: Tenant, globex: Tenant) -> str:
    """Renaming tenants moves no session; returns the slug of the session's tenant."""
    here: str = owner.get("/api/v1/me/").json()["tenant"]["slug"]
    Tenant.objects.filter(pk=globex.pk).update(name="  0 first")
    Tenant.objects.filter(pk=acme.pk).update(name="zzz last")
    check(owner.get("/api/v1/me/").json()["tenant"]["slug"] == here, "the session stays")
    return here


def check_removal(
    case: Case, joined: User, acme: Tenant, admin: Client, owner: Client | None
) -> None:
    """Removal takes effect at once, and frees the login name of a local account."""
    member = Membership.objects.get(tenant=acme, user=joined)
    answer = admin.delete(f"/api/v1/memberships/{member.pk}/")
    check(answer.status_code == 204, "removed")
    if owner is not None:
        check(owner.get("/api/v1/me/").status_code in {401, 403}, "the session has no tenant")
    if joined.local_tenant_id:
        check(sign_in(f"acme:{ADDRESS}", NEW) is None, "an account of one tenant ends with it")
    elif case.state in {"verified elsewhere", "former member"}:
        check(sign_in(ADDRESS, OWN), "an account of a person stays theirs")


def accept_invitation_as_owner(
    case: Case, link: str, *, has_account: bool | None = None, password: str = OWN
) -> Client:
    """Accept by the existing account, or by the link."""
    if has_account is None:
        has_account = case.state in {"verified elsewhere", "former member"}
    if not has_account:
        client = Browser()
        open_link(link, client)
        answer = client.post("/invitation/", {"name": "Vera", "password": NEW})
        assert answer.status_code == 302, answer.content
        return client
    client = sign_in(ADDRESS, password)
    assert client is not None
    (row,) = client.get("/api/v1/my-invitations/").json()["results"]
    answer = client.post(f"/tenants/invitations/{row['id']}/accept/")
    assert answer.status_code == 302
    return client


def is_globex_unchanged(case: Case, globex: Tenant) -> bool:
    expected = {
        "verified elsewhere": {ADDRESS},
        "squatted": {ADDRESS},
        "account of globex": {f"globex:{ADDRESS}"},
    }
    return members(globex) == expected.get(case.state, set())


@pytest.mark.parametrize("is_mailed", MAIL)
def test_query_count_is_the_same_for_every_state(is_mailed, acme, globex, acme_admin, settings):
    """Equal time: the same number of queries, and no password hash."""
    settings.ISPVM_MAIL_CONFIGURED = is_mailed
    for n, state in enumerate(STATES):
        with transaction.atomic():
            prepare(Case(state, "", is_mailed), acme, globex)
            with acting_in(acme):
                fields = {"role": "noc", "is_limited": False, **WHO_TESTS}
                invitations.invite(email="warm@up.example", **fields)
                with CaptureQueriesContext(connection) as queries:
                    invitations.invite(email=ADDRESS, **fields)
                cost = len(queries)
            transaction.set_rollback(True)
        if n == 0:
            first = cost
        assert cost == first, state


def test_count(record_property):
    record_property(
        "bar",
        f"people: {len(CASES)} cases ({len(STATES)} states x {len(WAYS)} ways x mail on and off),"
        f" 7 stages each",
    )
    assert len(CASES) == 40
