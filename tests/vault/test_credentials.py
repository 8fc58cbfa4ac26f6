"""Credential sets of every kind, over REST: input is validated and sealed, and secrets are never returned."""

import pytest

from apps.audit.models import Record
from apps.core import clock
from apps.inventory import services as inventory
from apps.tenancy import acting_in
from apps.vault.kinds import KIND_SPECS, credential_errors
from apps.vault.models import CredentialSet
from tests.clients import bearer, faulty_fields, problem
from tests.inventory.factories import make_device
from tests.vault.keys import open_main_secret, store

URL = "/api/v1/credential-sets/"
PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n"

GOOD: dict[str, dict] = {
    "routeros_api": {"username": "mon", "password": "canary-1"},
    "snmp_v2c": {"community": "canary-2"},
    "snmp_v3": {
        "username": "mon",
        "options": {"auth_protocol": "sha256", "priv_protocol": "aes"},
        "auth_password": "canary-3a",
        "priv_password": "canary-3b",
    },
    "ssh": {"username": "mon", "private_key": PEM, "passphrase": "canary-4"},
    "webhook": {"options": {"scheme": "header", "header_name": "X-Api-Key"}, "token": "canary-5"},
}

BAD = [
    ("routeros_api", {"password": "x"}, {"username"}),
    ("routeros_api", {"username": "mon"}, {"password"}),
    ("routeros_api", {"username": "mon", "password": "x", "community": "y"}, {"community"}),
    ("routeros_api", {"username": "m", "password": "x", "options": {"a": "b"}}, {"options.a"}),
    ("snmp_v2c", {}, {"community"}),
    ("snmp_v2c", {"username": "mon", "community": "x"}, {"username"}),
    ("snmp_v3", {"username": "mon", "options": {"auth_protocol": "sha"}}, {"auth_password"}),
    (
        "snmp_v3",
        {"username": "m", "options": {"auth_protocol": "rot13"}},
        {"options.auth_protocol"},
    ),
    ("snmp_v3", {"username": "m" * 33}, {"username"}),
    ("snmp_v3", {"username": "m", "auth_password": "12345678"}, {"auth_password"}),
    (
        "snmp_v3",
        {"username": "m", "options": {"priv_protocol": "aes"}, "priv_password": "12345678"},
        {"options.priv_protocol"},
    ),
    ("ssh", {"username": "mon"}, {"password"}),
    ("ssh", {"username": "mon", "private_key": "ssh-rsa AAAA"}, {"private_key"}),
    ("ssh", {"username": "mon", "password": "x", "passphrase": "y"}, {"passphrase"}),
    ("webhook", {"token": "x"}, {"options.scheme"}),
    ("webhook", {"options": {"scheme": "bearer"}}, {"token"}),
    ("webhook", {"options": {"scheme": "basic"}, "password": "x"}, {"username"}),
    ("webhook", {"options": {"scheme": "header"}, "token": "x"}, {"options.header_name"}),
    (
        "webhook",
        {"options": {"scheme": "header", "header_name": "X: y\r\nZ"}, "token": "x"},
        {"options.header_name"},
    ),
    ("webhook", {"options": {"scheme": "bearer"}, "token": "x\r\nHost: y"}, {"token"}),
    ("telnet", {"username": "mon", "password": "x"}, {"kind"}),
]


@pytest.fixture
def admin(acme, acme_admin):
    return bearer(acme, acme_admin)


@pytest.mark.django_db
class TestKinds:
    @pytest.mark.parametrize("kind", GOOD)
    def test_creates_hides_the_secrets_and_opens(self, admin, acme, kind):
        created = admin.post(URL, {"name": "one", "kind": kind, **GOOD[kind]})

        assert created.status_code == 201, created.content
        for answer in (created, admin.get(URL), admin.get(f"{URL}{created.json()['id']}/")):
            assert b"canary" not in answer.content
            assert b"BEGIN" not in answer.content
        assert created.json()["secret_names"] == sorted(
            set(KIND_SPECS[kind].secrets) & set(GOOD[kind])
        )
        with acting_in(acme):
            row = CredentialSet.objects.get()
            assert b"canary" not in bytes(row.sealed_secret)
            assert open_main_secret(row) == GOOD[kind].get(KIND_SPECS[kind].main_secret, "")
            assert "canary" not in str(list(Record.objects.values_list("detail", flat=True)))

    @pytest.mark.parametrize(("kind", "fields", "errors"), BAD)
    def test_rejects_invalid_fields_by_name(self, admin, kind, fields, errors):
        answer = admin.post(URL, {"name": "one", "kind": kind, **fields})

        assert faulty_fields(answer) == errors

    def test_the_field_secret_sets_the_main_secret(self, admin, acme):
        admin.post(URL, {"name": "one", "kind": "snmp_v2c", "secret": "public"})

        with acting_in(acme):
            assert open_main_secret(CredentialSet.objects.get()) == "public"

    def test_every_kind_has_a_spec_and_rules(self):
        for kind in KIND_SPECS:
            assert credential_errors(kind, username="", options={}, secrets={}) != {}


@pytest.mark.django_db
class TestChanging:
    @pytest.fixture
    def credential_set(self, admin):
        return admin.post(URL, {"name": "one", "kind": "snmp_v3", **GOOD["snmp_v3"]}).json()

    def test_a_rename_touches_no_secret_and_no_version(self, admin, acme, credential_set):
        answer = admin.patch(f"{URL}{credential_set['id']}/", {"name": "two"})

        assert (answer.json()["name"], answer.json()["version"]) == ("two", 1)
        with acting_in(acme):
            assert open_main_secret(CredentialSet.objects.get()) == "canary-3a"

    def test_changing_one_secret_keeps_the_others(self, admin, acme, credential_set):
        answer = admin.patch(f"{URL}{credential_set['id']}/", {"auth_password": "another-one"})

        assert answer.json()["version"] == 2
        assert answer.json()["secret_names"] == ["auth_password", "priv_password"]
        with acting_in(acme):
            assert open_main_secret(CredentialSet.objects.get()) == "another-one"

    def test_null_removes_a_secret(self, admin, credential_set):
        answer = admin.patch(
            f"{URL}{credential_set['id']}/",
            {"priv_password": None, "options": {"auth_protocol": "sha256"}},
        )

        assert answer.json()["secret_names"] == ["auth_password"]

    def test_an_invalid_change_changes_nothing(self, admin, acme, credential_set):
        answer = admin.patch(f"{URL}{credential_set['id']}/", {"name": "x", "priv_password": None})

        assert faulty_fields(answer) == {"priv_password"}
        assert admin.get(f"{URL}{credential_set['id']}/").json()["name"] == "one"

    def test_the_kind_cannot_change(self, admin, credential_set):
        answer = admin.patch(f"{URL}{credential_set['id']}/", {"kind": "ssh"})

        assert faulty_fields(answer) == {"kind"}

    def test_an_outdated_etag_is_refused(self, admin, credential_set):
        url = f"{URL}{credential_set['id']}/"
        tag = admin.get(url)["ETag"]
        assert admin.patch(url, {"name": "two"}, headers={"If-Match": tag}).status_code == 200

        answer = admin.patch(url, {"name": "three"}, headers={"If-Match": tag})

        assert problem(answer) == (412, "precondition_failed")

    def test_a_taken_name_is_refused(self, admin, credential_set):
        admin.post(URL, {"name": "other", "kind": "snmp_v2c", "community": "x"})

        answer = admin.patch(f"{URL}{credential_set['id']}/", {"name": "other"})

        assert problem(answer) == (409, "name_taken")

    def test_posting_a_name_again_gives_it_a_new_secret(self, admin, acme):
        body = {"name": "routers", "username": "mon"}
        ids = {admin.post(URL, {**body, "secret": word}).json()["id"] for word in ("one", "two")}

        assert len(ids) == 1
        with acting_in(acme):
            assert open_main_secret(CredentialSet.objects.get()) == "two"


@pytest.mark.django_db
class TestDeleting:
    def test_deletes_an_unused_set(self, admin, acme):
        created = admin.post(URL, {"name": "one", **GOOD["routeros_api"]}).json()

        assert admin.delete(f"{URL}{created['id']}/").status_code == 204

        with acting_in(acme):
            assert Record.objects.filter(action="credential_set.deleted").count() == 1

    def test_refuses_a_used_set_and_lists_the_devices(self, admin, acme, actor):
        with acting_in(acme):
            row = store("x")
            first = make_device("cr1", credential_set=row)
            second = make_device("cr2")
            inventory.set_device_credentials(
                device=second,
                credential_sets=[store("y", "other"), row],
                actor=actor,
                at=clock.now(),
            )

        answer = admin.delete(f"{URL}{row.id}/")

        assert problem(answer) == (409, "credential_set_in_use")
        assert "used by 2 devices: cr1, cr2" in answer.json()["detail"]
        listed = {error["field"]: error["detail"] for error in answer.json()["errors"]}
        assert listed == {f"device.{first.id}": "cr1", f"device.{second.id}": "cr2"}

    def test_another_tenants_set_is_not_found(self, admin, globex):
        with acting_in(globex):
            row = store("x")

        assert admin.delete(f"{URL}{row.id}/").status_code == 404
