"""The ISP's admin: changes go through services, secrets do not come out, refusals stand in the form."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import ApiToken, Invitation, Membership
from apps.audit.models import Record
from apps.backoffice.paging import MAX_COUNTED_ROWS
from apps.inventory.models import Device, Interface, Site
from apps.tenancy import acting_in
from apps.vault.admin import OPTIONS, CredentialSetForm
from apps.vault.choices import Purpose
from apps.vault.kinds import SECRET_NAMES
from apps.vault.models import CredentialSet
from apps.vault.services import open_credential_set, store_credential_set, take_lease
from apps.webhooks.models import Endpoint, Secret
from tests import test_list_costs as rows
from tests.clients import queries, signed_in
from tests.inventory.factories import ACTOR, AT, make_device, make_site

pytestmark = pytest.mark.django_db

INLINE = re.compile(rb"style=|<script(?![^>]*src=)[^>]*>|<style|\son\w+=")


@pytest.fixture
def as_admin(acme_admin) -> Client:
    client = Client()
    signed_in(client, acme_admin)
    return client


def words(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def last_act(tenant) -> str:
    with acting_in(tenant):
        return Record.objects.order_by("-sequence")[0].action


class TestInventory:
    def test_a_site_is_created_by_its_service(self, acme, as_admin):
        form = {"name": "Hill", "code": "HIL", "latitude": "52.1", "longitude": "4.3"}

        answer = as_admin.post(reverse("admin:inventory_site_add"), form)

        assert answer.status_code == 302
        with acting_in(acme):
            assert Site.objects.get(name="Hill").latitude == 52.1
        assert last_act(acme) == "site.created"

    def test_a_taken_name_is_refused_in_the_form(self, acme, as_admin):
        with acting_in(acme):
            make_site("Hill")

        answer = as_admin.post(reverse("admin:inventory_site_add"), {"name": "Hill"})

        assert answer.status_code == 200
        assert "already has the name Hill" in words(answer)
        with acting_in(acme):
            assert Site.objects.filter(name="Hill").count() == 1

    def test_a_device_is_changed_by_its_service(self, acme, as_admin):
        with acting_in(acme):
            device = make_device("r1")
        form = {
            "name": "r2",
            "site": str(device.site_id),
            "role": "edge",
            "collector": "routeros",
            "management_address": "127.20.0.9",
            "api_port": "8728",
            "polling_profile": "{}",
            "tags": "[]",
            "credential_set": "",
        }

        answer = as_admin.post(reverse("admin:inventory_device_change", args=[device.id]), form)

        assert answer.status_code == 302, words(answer)
        with acting_in(acme):
            assert Device.objects.get().name == "r2"
            assert Record.objects.order_by("-sequence")[0].detail["fields"]["name"] == ["r1", "r2"]

    def test_a_site_in_use_is_not_removed(self, acme, as_admin):
        with acting_in(acme):
            device = make_device("r1")

        answer = as_admin.post(
            reverse("admin:inventory_site_delete", args=[device.site_id]),
            {"post": "yes"},
            follow=True,
        )

        assert "still in use" in words(answer)
        with acting_in(acme):
            assert Site.objects.filter(pk=device.site_id).exists()

    def test_the_delete_confirmation_lists_what_is_deleted(self, acme, as_admin):
        with acting_in(acme):
            rows.interface(0)
            device = Device.objects.get()

        answer = as_admin.get(reverse("admin:inventory_device_delete", args=[device.id]))

        assert "1 interface" in words(answer)

    def test_history_is_the_audit_log(self, acme, as_admin):
        with acting_in(acme):
            site = make_site("Hill")

        answer = as_admin.get(reverse("admin:inventory_site_history", args=[site.id]))

        assert "site.created" in words(answer)


def opened(login: CredentialSet) -> str:
    lease = take_lease(
        purpose=Purpose.CONNECTION_TEST, holder=("test", "1"), terms="", actor=ACTOR, at=AT
    )
    return open_credential_set(credential_set=login, lease=lease)["password"]


class TestSecrets:
    def test_a_login_is_written_and_never_shown(self, acme, as_admin):
        form = {
            "name": "routers",
            "kind": "routeros_api",
            "username": "mon",
            "password": "s3cret-x",
        }

        as_admin.post(reverse("admin:vault_credentialset_add"), form)

        with acting_in(acme):
            login = CredentialSet.objects.get()
            assert opened(login) == "s3cret-x"
        answer = as_admin.get(reverse("admin:vault_credentialset_change", args=[login.id]))
        assert "s3cret-x" not in answer.content.decode()
        assert "sealed" not in answer.content.decode()

    def test_a_login_is_replaced(self, acme, as_admin):
        with acting_in(acme):
            login = store_credential_set(
                name="routers", username="mon", secret="one", actor=ACTOR, at=AT
            )
        form = {"name": "routers", "username": "mon2", "password": "two"}

        as_admin.post(reverse("admin:vault_credentialset_change", args=[login.id]), form)

        with acting_in(acme):
            login.refresh_from_db()
            assert (login.username, login.version) == ("mon2", 2)
            assert opened(login) == "two"

    def test_what_is_left_empty_of_a_login_stays(self, acme, as_admin):
        with acting_in(acme):
            login = store_credential_set(
                name="routers", username="mon", secret="one", actor=ACTOR, at=AT
            )
        form = {"name": "core routers", "username": "mon", "password": ""}

        as_admin.post(reverse("admin:vault_credentialset_change", args=[login.id]), form)

        with acting_in(acme):
            login.refresh_from_db()
            assert (login.name, login.version, opened(login)) == ("core routers", 1, "one")

    def test_a_login_of_another_kind_has_what_that_needs(self, acme, as_admin):
        form = {"name": "poller", "kind": "snmp_v3", "username": "noc", "auth_protocol": "sha"}
        add = reverse("admin:vault_credentialset_add")

        refused = as_admin.post(add, form)
        as_admin.post(add, {**form, "auth_password": "long enough"})

        assert "At least 8 characters." in words(refused)
        with acting_in(acme):
            assert CredentialSet.objects.get().options == {"auth_protocol": "sha"}

    def test_the_form_asks_for_every_secret_and_option_of_every_kind(self):
        assert {*SECRET_NAMES, *OPTIONS} <= CredentialSetForm.base_fields.keys()

    def test_a_token_is_shown_once(self, acme, as_admin):
        answer = as_admin.post(
            reverse("admin:accounts_apitoken_add"), {"name": "bridge", "days": "30"}, follow=True
        )

        assert "ispvm_" in words(answer)
        token = ApiToken.objects.get(name="bridge")
        again = as_admin.get(reverse("admin:accounts_apitoken_change", args=[token.id]))
        assert words(again).count("ispvm_") == 1  # its prefix

    def test_an_endpoints_signing_secret_is_shown_once(self, acme, as_admin):
        form = {
            "name": "desk",
            "url": "https://hook.example.net/x",
            "event_types": "[]",
            "severity_floor": "info",
            "ca_pem": "",
        }

        answer = as_admin.post(reverse("admin:webhooks_endpoint_add"), form, follow=True)

        assert "whsec_" in words(answer)
        with acting_in(acme):
            endpoint = Endpoint.objects.get()
            assert Secret.objects.filter(endpoint=endpoint).count() == 1
        again = as_admin.get(reverse("admin:webhooks_endpoint_change", args=[endpoint.id]))
        assert "whsec_" not in words(again)


class TestMembers:
    def test_somebody_is_invited(self, acme, as_admin):
        form = {"email": "new@acme.example", "role": "noc"}

        answer = as_admin.post(reverse("admin:accounts_invitation_add"), form, follow=True)

        assert "http://127.0.0.1:8000/invitation/?key=" in words(answer)
        assert last_act(acme) == "invitation.created"
        assert not Membership.objects.exclude(user__email="admin@acme.example").exists()
        listing = as_admin.get(reverse("admin:accounts_invitation_changelist"))
        assert "new@acme.example" in words(listing)

    def test_a_second_invitation_of_the_same_person_replaces_the_first(self, acme, as_admin):
        form = {"email": "new@acme.example", "role": "noc"}
        for _ in range(2):
            answer = as_admin.post(reverse("admin:accounts_invitation_add"), form)
            assert answer.status_code == 302, words(answer)

        with acting_in(acme):
            assert Invitation.objects.filter(revoked_at=None).count() == 1

    def test_an_invitation_is_revoked(self, acme, as_admin):
        form = {"email": "new@acme.example", "role": "noc"}
        as_admin.post(reverse("admin:accounts_invitation_add"), form)
        with acting_in(acme):
            pk = Invitation.objects.get().pk

        form = {"action": "revoke", "_selected_action": str(pk)}
        as_admin.post(reverse("admin:accounts_invitation_changelist"), form)

        with acting_in(acme):
            assert Invitation.objects.get().revoked_at is not None

    def test_the_last_admin_stays(self, acme, acme_admin, as_admin):
        member = Membership.objects.get(user=acme_admin)

        answer = as_admin.post(
            reverse("admin:accounts_membership_change", args=[member.id]), {"role": "noc"}
        )

        assert "keeps at least one admin" in words(answer)
        member.refresh_from_db()
        assert member.role == "admin"

    def test_actions_call_services_and_report_them(self, acme, as_admin):
        as_admin.post(reverse("admin:accounts_apitoken_add"), {"name": "bridge", "days": "30"})
        token = ApiToken.objects.get(name="bridge")

        answer = as_admin.post(
            reverse("admin:accounts_apitoken_changelist"),
            {"action": "revoke", "_selected_action": [str(token.id)]},
            follow=True,
        )

        assert "1 tokens were revoked" in words(answer)
        assert last_act(acme) == "token.revoked"


class TestPages:
    PAGES = (
        *("index", "inventory_site_changelist", "inventory_device_changelist"),
        *("inventory_device_add", "inventory_link_add", "vault_credentialset_add"),
        *("accounts_apitoken_add", "audit_record_changelist", "webhooks_endpoint_add"),
    )

    @pytest.mark.parametrize("name", PAGES)
    def test_nothing_in_them_breaks_the_content_policy(self, acme, as_admin, name):
        with acting_in(acme):
            rows.device(0)

        answer = as_admin.get(reverse(f"admin:{name}"))

        assert answer.status_code == 200
        assert not INLINE.search(answer.content)
        assert "css/admin" in answer.content.decode()

    def test_an_auditor_reads_and_changes_nothing(self, acme, acme_auditor, client):
        with acting_in(acme):
            device = make_device("r1")
        signed_in(client, acme_auditor)
        path = reverse("admin:inventory_device_change", args=[device.id])

        assert b'name="_save"' not in client.get(path).content
        assert client.post(path, {"name": "r2"}).status_code == 403

    @pytest.mark.parametrize(
        "junk", ["?p=99999", "?o=99", "?q=%00", "?role__exact=x", "?x=1", "?p=x"]
    )
    def test_no_query_breaks_a_list(self, as_admin, junk):
        answer = as_admin.get(reverse("admin:inventory_device_changelist") + junk)

        assert answer.status_code in {200, 302}

    def test_a_list_costs_the_same_for_one_and_fifty(self, acme, as_admin):
        make = {"device": rows.device, "link": rows.link, "interface": rows.interface}
        paths = [reverse(f"admin:inventory_{kind}_changelist") for kind in make]
        with acting_in(acme):
            rows.interface(120)
            rows.link(61)
        as_admin.get(paths[0])  # the first one of a minute notes that the session was seen
        few = [queries(lambda p=path: as_admin.get(p)) for path in paths]
        with acting_in(acme):
            for n in range(50):
                rows.interface(n)
            for n in range(25, 50):
                rows.link(n)

        assert [queries(lambda p=path: as_admin.get(p)) for path in paths] == few
        assert max(few) <= 10

    def test_big_tables_are_not_counted_to_the_end(self, acme, as_admin):
        with acting_in(acme):
            device = make_device("r1")
            Interface.objects.bulk_create(
                Interface(device=device, name=f"vlan{n}") for n in range(MAX_COUNTED_ROWS + 5)
            )

        answer = as_admin.get(reverse("admin:inventory_interface_changelist"))

        assert f"more than {MAX_COUNTED_ROWS} interfaces" in words(answer)
