"""Passkeys: only from our own origin, with increasing counters, and with one owner each."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from allauth.mfa.models import Authenticator
from django.db import connection
from django.test import Client

from apps.accounts import passkeys
from apps.accounts.models import OpenSession, PasskeyCredential
from apps.audit.models import PlatformRecord
from tests.accounts.software_passkey import LEFT_OUT, SoftwarePasskey
from tests.accounts.test_second_factor import first_step, is_in

MAKE, PROVE, CONFIRM = "/account/passkeys/", "/sign-in/passkey/", "/account/confirm/passkey/"
PUBLIC = "https://vm.example.net"
FOREIGN = {
    "another port": {"origin": f"{PUBLIC}:8443"},
    "the default port, written out": {"origin": f"{PUBLIC}:443"},
    "another scheme": {"origin": "http://vm.example.net"},
    "a name below": {"origin": "https://evil.vm.example.net"},
    "a name above": {"origin": "https://example.net"},
    "a name that ends so": {"origin": "https://evilvm.example.net"},
    "what a test calls its host": {"origin": "http://testserver"},
    "a path": {"origin": f"{PUBLIC}/"},
    "an app": {"origin": "android:apk-key-hash:AAAA"},
    "null": {"origin": "null"},
    "none": {"origin": LEFT_OUT},
    "no text": {"origin": [PUBLIC]},
    "a frame of another site": {"crossOrigin": True},
    "a frame that says where": {"crossOrigin": True, "topOrigin": "https://evil.example"},
    "a top origin alone": {"topOrigin": PUBLIC},
    "cross origin as text": {"crossOrigin": "false"},
}
foreign = pytest.mark.parametrize("client_data", FOREIGN.values(), ids=FOREIGN)


@pytest.fixture(autouse=True)
def _public_url(settings):
    settings.ISPVM_PUBLIC_URL = PUBLIC
    settings.ALLOWED_HOSTS = ["vm.example.net"]


def browser(host: str = "vm.example.net") -> Client:
    return Client(HTTP_HOST=host)


def add(user, key: SoftwarePasskey, **client_data) -> int:
    client = first_step(user, browser())
    options = client.post(f"{MAKE}options/").json()
    answer = key.register(options, **client_data)
    return client.post(MAKE, {"answer": answer, "name": "Key"}).status_code


def prove(
    user, key: SoftwarePasskey, *, counter: int | None = None, **client_data
) -> tuple[int, Client]:
    client = browser()
    options = client.post(f"{PROVE}options/").json()
    if counter is not None:
        key.counter = counter
    answer = key.prove(options, user, **client_data)
    return client.post(PROVE, {"answer": answer}).status_code, client


@pytest.fixture
def key(acme_noc) -> SoftwarePasskey:
    key = SoftwarePasskey()
    assert add(acme_noc, key) == 200
    return key


@pytest.mark.django_db
class TestOrigin:
    def test_of_our_own_page_signs_in(self, acme_noc, key):
        status, client = prove(acme_noc, key)

        assert status == 302
        assert is_in(client)

    def test_of_our_own_page_without_cross_origin_is_accepted(self, acme_noc, key):
        assert prove(acme_noc, key, crossOrigin=LEFT_OUT)[0] == 302

    @foreign
    def test_of_another_page_signs_nobody_in(self, acme_noc, key, client_data):
        status, client = prove(acme_noc, key, **client_data)

        assert status == 422
        assert not is_in(client)

    @foreign
    def test_of_another_page_registers_no_passkey(self, acme_noc, client_data):
        assert add(acme_noc, SoftwarePasskey(), **client_data) == 422
        assert not Authenticator.objects.exists()

    def test_of_another_page_confirms_nobody(self, acme_noc, key):
        _, client = prove(acme_noc, key)
        options = client.post(f"{CONFIRM}options/").json()

        bad = key.prove(options, acme_noc, origin=f"{PUBLIC}:8443")
        assert client.post(CONFIRM, {"answer": bad}).status_code == 422
        options = client.post(f"{CONFIRM}options/").json()
        assert client.post(CONFIRM, {"answer": key.prove(options, acme_noc)}).status_code == 302

    def test_is_not_what_the_host_header_says(self, acme_noc, key):
        client = browser("vm.example.net:8443")
        options = client.post(f"{PROVE}options/").json()
        answer = key.prove(options, acme_noc, origin=f"{PUBLIC}:8443")

        assert client.post(PROVE, {"answer": answer}).status_code == 422

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://VM.example.net", {"https://vm.example.net"}),
            ("https://vm.example.net:8443", {"https://vm.example.net:8443"}),
            ("https://vm.example.net/console", {"https://vm.example.net"}),
            ("http://127.0.0.1:8000", {"http://127.0.0.1:8000", "http://localhost:8000"}),
            ("http://localhost:8000", {"http://localhost:8000"}),
            ("http://10.0.0.1:8000", {"http://10.0.0.1:8000"}),
        ],
    )
    def test_is_the_public_address(self, settings, url, expected):
        settings.ISPVM_PUBLIC_URL = url

        assert passkeys.origins() == expected


@pytest.mark.django_db
class TestCounter:
    @pytest.mark.parametrize("counters", [(0, 0, 0), (1, 2, 3), (0, 1, 900), (5, 2**32 - 1)])
    def test_that_increases_signs_in(self, acme_noc, key, counters):
        for counter in counters:
            assert prove(acme_noc, key, counter=counter)[0] == 302

    @pytest.mark.parametrize(("first", "second"), [(7, 6), (7, 7), (7, 0), (2**31, 1)])
    def test_that_does_not_increase_is_refused(self, acme_noc, key, first, second):
        assert prove(acme_noc, key, counter=first)[0] == 302

        status, client = prove(acme_noc, key, counter=second)

        assert status == 422
        assert not is_in(client)
        assert PlatformRecord.objects.filter(action="passkey.counter_went_back").count() == 1

    def test_starts_at_the_registered_value(self, acme_noc):
        key = SoftwarePasskey(counter=40)
        add(acme_noc, key)

        assert prove(acme_noc, key, counter=40)[0] == 422
        assert prove(acme_noc, key, counter=41)[0] == 302


@pytest.mark.django_db(transaction=True)
def test_of_two_concurrent_responses_with_one_counter_one_signs_in(acme_noc, key):
    clients = [browser() for _ in range(6)]
    key.counter = 9
    answers = [key.prove(client.post(f"{PROVE}options/").json(), acme_noc) for client in clients]

    def send(pair) -> int:
        try:
            return pair[0].post(PROVE, {"answer": pair[1]}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        statuses = sorted(pool.map(send, zip(clients, answers, strict=True)))

    assert statuses == [302] + [422] * 5
    assert OpenSession.objects.filter(method="passkey").count() == 1


@pytest.mark.django_db
class TestOneOwner:
    def test_of_two_users_the_second_is_refused(self, acme_noc, acme_admin, key):
        copied = SoftwarePasskey(credential_id=key.credential_id)

        assert add(acme_admin, copied) == 422
        assert Authenticator.objects.filter(type="webauthn").get().user == acme_noc
        assert prove(acme_admin, copied)[0] == 422
        assert prove(acme_noc, key)[0] == 302

    def test_one_user_can_register_it_once(self, acme_noc, key):
        client = prove(acme_noc, key)[1]
        options = client.post(f"{MAKE}options/").json()
        again = key.register(options)

        assert client.post(MAKE, {"answer": again, "name": "Key"}).status_code == 422

    def test_it_is_free_again_when_it_was_removed(self, acme_noc, acme_admin, key):
        client = prove(acme_noc, key)[1]
        factor = Authenticator.objects.get(type="webauthn")
        client.post(f"{MAKE}{factor.pk}/remove/")

        assert not PasskeyCredential.objects.exists()
        assert add(acme_admin, key) == 200
