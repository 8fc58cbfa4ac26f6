"""Every address of the admin x method x caller x whose row. What is not registered with a row here fails."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse

from apps.accounts.models import MailDomain, Membership, User
from apps.agents.models import AgentCertificate
from apps.audit.models import Record
from apps.authorization.choices import Role
from apps.authorization.permissions import ROLE_TABLE
from apps.backoffice.site import SITE_PERMISSION, admin_site
from apps.core import clock
from apps.tenancy import acting_in
from apps.tenancy.context import require_tenant_id
from tests.accounts.rows import DEVICE, NESTED, ROWS
from tests.accounts.test_page_matrix import CALLERS, LIMITED, ask, callers, outcome
from tests.clients import signed_in

pytestmark = pytest.mark.django_db
__all__ = ["callers"]


def certificate() -> str:
    now = clock.now()
    return AgentCertificate.objects.create(
        serial=uuid4().hex,
        fingerprint=b"0" * 32,
        tenant_id=require_tenant_id(),
        agent_id=ROWS["agents"](),
        not_before=now,
        not_after=now + timedelta(days=30),
        issued_at=now,
    ).pk


def record() -> Any:
    DEVICE()
    return Record.objects.order_by("sequence")[0].pk


def mail_domain() -> Any:
    now = clock.now()
    fields = {"domain": "acme.example", "accepted_by": {"label": "x"}, "accepted_at": now}
    return MailDomain.objects.create(**fields).pk


#: A model in the admin -> one row of it.
MADE = {
    "accounts.membership": ROWS["memberships"],
    "accounts.apitoken": ROWS["tokens"],
    "accounts.invitation": ROWS["invitations"],
    "accounts.maildomain": mail_domain,
    "accounts.signinpolicy": require_tenant_id,
    "audit.record": record,
    "vault.credentialset": ROWS["credential-sets"],
    "inventory.site": ROWS["sites"],
    "inventory.device": DEVICE,
    "inventory.interface": ROWS["interfaces"],
    "inventory.link": ROWS["links"],
    "inventory.bgppeer": ROWS["bgp-peers"],
    "inventory.ospfneighbor": ROWS["ospf-neighbors"],
    "inventory.probetarget": ROWS["probe-targets"],
    "inventory.service": ROWS["services"],
    "inventory.sitegrant": ROWS["grants/sites"],
    "inventory.devicegrant": ROWS["grants/devices"],
    "topology.dependencygroup": ROWS["topology/dependency-groups"],
    "agents.agent": ROWS["agents"],
    "agents.agentcertificate": certificate,
    "alerts.alertrule": ROWS["alert-rules"],
    "alerts.ruleoverride": NESTED["override_id"],
    "alerts.alert": ROWS["alerts"],
    "incidents.incident": ROWS["incidents"],
    "webhooks.endpoint": ROWS["webhook-endpoints"],
    "delivery.delivery": ROWS["webhook-deliveries"],
}
REGISTERED = {model._meta.label_lower: row for model, row in admin_site._registry.items()}
DONE = {200, 302}


def absent(label: str) -> str:
    """A key that no row has."""
    return "f" * 32 if REGISTERED[label].key == "slug" else "ffffffff-ffff-4fff-8fff-ffffffffffff"


def may(caller: Any, permission: Any) -> bool:
    return caller not in {None, LIMITED} and {SITE_PERMISSION, permission} <= ROLE_TABLE[caller]


def test_every_row_of_the_admin_is_requested(record_property):
    assert REGISTERED.keys() == MADE.keys()
    pages = sum(3 + row.can_add + row.can_delete for row in REGISTERED.values())
    told = f"T5 admin: {len(REGISTERED)} kinds, {pages} addresses, {len(CALLERS)} callers"
    record_property("bar", told)


#: In every run; the others in the long one.
ALWAYS = {"accounts.membership", "audit.record", "inventory.device", "vault.credentialset"}
KINDS = [pytest.param(x, marks=() if x in ALWAYS else pytest.mark.long) for x in sorted(MADE)]


@pytest.mark.parametrize("label", sorted(MADE))
def test_foreign_and_absent_rows_look_alike(
    acme, globex, globex_admin, acme_admin, acme_noc, client, label
):
    with acting_in(globex):
        foreign = MADE[label]()
    with acting_in(acme):
        own = MADE[label]()
    name = f"admin:{label.replace('.', '_')}_change"
    signed_in(client, acme_admin)

    assert client.get(reverse(name, args=[own])).status_code == 200
    answers = [
        same(outcome(client.get(reverse(name, args=[pk])), pk), pk)
        for pk in (foreign, absent(label))
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == "404"
    signed_in(client, acme_noc)
    assert client.get(reverse(name, args=[own])).status_code == 403


@pytest.mark.parametrize("label", KINDS)
def test_who_may_do_what_to_whose_row(acme, globex, callers, label):
    admin_of = REGISTERED[label]
    with acting_in(globex):
        foreign = MADE[label]()
    with acting_in(acme):
        own = MADE[label]()
    name = label.replace(".", "_")
    pages = [("change", admin_of.view_permission), ("history", admin_of.view_permission)]
    pages += [("delete", admin_of.manage_permission)] * admin_of.can_delete

    for page, permission in pages:
        for method in ("get", "post"):
            for caller, client in callers.items():
                answers = {
                    whose: outcome(
                        ask(client, method, reverse(f"admin:{name}_{page}", args=[pk])), pk
                    )
                    for whose, pk in (("own", own), ("foreign", foreign), ("absent", absent(label)))
                }

                case = (page, method, caller)
                assert same(answers["foreign"], foreign) == same(
                    answers["absent"], absent(label)
                ), case
                if caller is None:
                    assert answers["own"][0] == answers["absent"][0] == 302, case
                elif not may(caller, permission):
                    assert answers["own"][0] == answers["absent"][0] == 403, case
                elif page == "change" and method == "post" and not changes(admin_of, caller):
                    assert answers["own"][0] in {403, 404}, case
                else:
                    assert answers["absent"][0] in {404, 403}, case
                    assert answers["own"][0] in DONE, case


def changes(admin_of: Any, caller: Any) -> bool:
    return admin_of.can_change and may(caller, admin_of.manage_permission)


def same(answer: tuple[Any, ...], pk: Any) -> tuple[Any, ...]:
    """But for the key itself, which the sign-in page carries back."""
    return tuple(str(part).replace(str(pk), "") for part in answer)


@pytest.mark.parametrize("label", KINDS)
def test_who_may_list_and_add(acme, globex, callers, label):
    admin_of = REGISTERED[label]
    with acting_in(globex):
        foreign = str(MADE[label]())
    with acting_in(acme):
        MADE[label]()
    name = label.replace(".", "_")
    pages = [("changelist", admin_of.view_permission)]
    pages += [("add", admin_of.manage_permission)] * admin_of.can_add

    for page, permission in pages:
        for method in ("get", "post"):
            for caller, client in callers.items():
                answer = ask(client, method, reverse(f"admin:{name}_{page}"))

                expected = 302 if caller is None else None if may(caller, permission) else 403
                case = (page, method, caller)
                assert answer.status_code == expected if expected else answer.status_code in DONE, (
                    case
                )
                assert foreign not in answer.content.decode(), case


def test_the_index_is_for_admins_and_auditors(callers):
    for address in (reverse("admin:index"), reverse("admin:app_list", args=["inventory"])):
        found = {caller: client.get(address).status_code for caller, client in callers.items()}

        assert found == {
            None: 302,
            LIMITED: 403,
            Role.ADMIN: 200,
            Role.AUDITOR: 200,
            Role.NOC: 403,
            Role.READONLY: 403,
        }


def test_choices_of_a_field_are_the_tenants_own(acme, globex, callers):
    with acting_in(globex):
        foreign = str(DEVICE())
    with acting_in(acme):
        own = str(DEVICE())
    query = {"app_label": "inventory", "model_name": "link", "field_name": "a_device"}

    answer = callers[Role.ADMIN].get(reverse("admin:autocomplete"), query)

    assert own in answer.content.decode()
    assert foreign not in answer.content.decode()
    assert callers[Role.NOC].get(reverse("admin:autocomplete"), query).status_code == 403


def test_an_admin_of_another_tenant_has_no_access(acme, globex_admin, client):
    with acting_in(acme):
        device = DEVICE()
    signed_in(client, globex_admin)

    assert client.get(reverse("admin:inventory_device_change", args=[device])).status_code == 404


def test_a_member_of_two_tenants_sees_one_at_a_time(acme, globex, acme_admin, client):
    Membership.objects.create(tenant=globex, user=acme_admin, role=Role.READONLY)
    signed_in(client, acme_admin)
    session = client.session
    session["tenant_id"] = str(globex.id)
    session.save()

    assert client.get(reverse("admin:index")).status_code == 403
    assert User.objects.filter(memberships__tenant=globex).exists()
