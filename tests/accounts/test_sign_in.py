"""The sign-in page: rate limits, no lockout of a user by others, session fixation."""

from datetime import timedelta
from ipaddress import ip_network

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.hashers import get_hashers_by_algorithm, make_password
from django.test import Client
from redis.exceptions import ConnectionError as RedisAway

from apps.accounts import attempts
from apps.accounts.attempts import ATTEMPTS, WINDOW_SECONDS
from apps.accounts.known_browsers import COOKIE
from apps.accounts.models import OpenSession
from apps.audit.models import PlatformRecord
from apps.core import clock
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
URL = "/sign-in/"
HERE, THERE = "192.0.2.7", "198.51.100.9"


def sign_in(
    user, password: str = PASSWORD, *, client: Client | None = None, at: str = HERE, **more
):
    body = {"email": user.email, "password": password}
    return (client or Client()).post(URL, body, REMOTE_ADDR=at, **more)


def guess_wrong(user, times: int = ATTEMPTS + 1, **more) -> list[int]:
    return [sign_in(user, "wrong", **more).status_code for _ in range(times)]


class TestLimit:
    def test_stops_guessing_from_one_address(self, acme_noc):
        assert guess_wrong(acme_noc) == [401] * ATTEMPTS + [429]
        assert sign_in(acme_noc).status_code == 429

    def test_does_not_lock_the_operator_out_elsewhere(self, acme_noc):
        guess_wrong(acme_noc, 30)

        assert sign_in(acme_noc, at=THERE).status_code == 302

    def test_does_not_lock_out_a_known_browser_at_the_same_address(self, acme_noc):
        browser = Client()
        assert sign_in(acme_noc, client=browser).status_code == 302
        browser.post("/sign-out/")
        guess_wrong(acme_noc, 30)

        assert sign_in(acme_noc, client=browser).status_code == 302

    def test_applies_to_a_known_browser_too(self, acme_noc):
        browser = Client()
        sign_in(acme_noc, client=browser)
        browser.post("/sign-out/")

        assert guess_wrong(acme_noc, client=browser)[-1] == 429

    @pytest.mark.parametrize("cookie", ["", "x", "a:b:c", "ÿ", "W10:1:x"])
    def test_a_forged_cookie_is_unknown(self, acme_noc, cookie):
        browser = Client()
        browser.cookies[COOKIE] = cookie
        guess_wrong(acme_noc)

        assert sign_in(acme_noc, client=browser).status_code == 429

    def test_another_users_browser_is_unknown(self, acme_noc, acme_admin):
        browser = Client()
        sign_in(acme_admin, client=browser)
        browser.post("/sign-out/")
        guess_wrong(acme_noc)

        assert sign_in(acme_noc, client=browser).status_code == 429

    def test_names_are_counted_separately(self, acme_noc, acme_admin):
        guess_wrong(acme_noc)

        assert sign_in(acme_admin).status_code == 302

    def test_addresses_of_one_ipv6_network_count_together(self, acme_noc):
        for number in range(ATTEMPTS):
            sign_in(acme_noc, "wrong", at=f"2001:db8:1:2::{number:x}")

        assert sign_in(acme_noc, at="2001:db8:1:2:ffff::1").status_code == 429
        assert sign_in(acme_noc, at="2001:db8:1:3::1").status_code == 302

    def test_expires_with_its_window(self, acme_noc):
        assert guess_wrong(acme_noc)[-1] == 429

        with time_machine.travel(clock.now() + timedelta(seconds=WINDOW_SECONDS), tick=True):
            assert sign_in(acme_noc, "wrong").status_code == 401

    def test_works_without_redis(self, acme_noc, monkeypatch):
        def away(*_args, **_kwargs):
            raise RedisAway

        monkeypatch.setattr(attempts.cache, "add", away, raising=False)

        assert guess_wrong(acme_noc) == [401] * ATTEMPTS + [429]

    def test_forwarded_addresses_are_read_from_trusted_proxies_only(self, acme_noc, settings):
        guess_wrong(acme_noc)
        assert sign_in(acme_noc, HTTP_X_FORWARDED_FOR=THERE).status_code == 429

        settings.ISPVM_TRUSTED_PROXIES = (ip_network("127.0.0.1/32"),)
        proxied = {"at": "127.0.0.1", "HTTP_X_FORWARDED_FOR": f"203.0.113.1, {HERE}"}
        guess_wrong(acme_noc, **proxied)
        forged = {"at": "127.0.0.1", "HTTP_X_FORWARDED_FOR": f"203.0.113.99, {HERE}"}
        assert sign_in(acme_noc, **forged).status_code == 429
        assert sign_in(acme_noc, at="127.0.0.1", HTTP_X_FORWARDED_FOR=THERE).status_code == 302


class TestSession:
    def test_gets_a_new_key_at_sign_in(self, acme_noc):
        browser = Client()
        session = browser.session
        session["x"] = 1
        session.save()
        browser.cookies[settings.SESSION_COOKIE_NAME] = session.session_key

        sign_in(acme_noc, client=browser)

        assert browser.cookies[settings.SESSION_COOKIE_NAME].value != session.session_key

    def test_gets_a_new_key_when_the_same_user_signs_in_again(self, acme_noc):
        browser = Client()
        sign_in(acme_noc, client=browser)
        first = browser.cookies[settings.SESSION_COOKIE_NAME].value

        assert sign_in(acme_noc, client=browser).status_code == 302

        assert browser.cookies[settings.SESSION_COOKIE_NAME].value != first
        assert OpenSession.objects.count() == 1

    def test_ends_when_the_password_changes(self, acme_noc):
        browser = Client()
        sign_in(acme_noc, client=browser)
        assert browser.get("/api/v1/me/").status_code == 200
        acme_noc.set_password("another-correct-horse")
        acme_noc.save()

        assert browser.get("/api/v1/me/").status_code == 401

    def test_ends_when_the_user_is_deactivated(self, acme_noc):
        browser = Client()
        sign_in(acme_noc, client=browser)
        type(acme_noc).objects.filter(pk=acme_noc.pk).update(is_active=False)

        assert browser.get("/api/v1/me/").status_code == 401

    def test_cookies_are_http_only(self, acme_noc):
        cookies = sign_in(acme_noc).cookies

        for name in (settings.SESSION_COOKIE_NAME, COOKIE):
            assert cookies[name]["httponly"], name
            assert cookies[name]["samesite"] == "Lax", name


def test_a_failure_is_in_the_platforms_audit_log(acme_noc):
    sign_in(acme_noc, "wrong")

    assert PlatformRecord.objects.filter(action="sign_in.failed").count() == 1


def test_wrong_name_and_wrong_password_get_the_same_response(acme_noc):
    def page(email: str) -> str:
        answer = Client().post(URL, {"email": email, "password": "wrong"})
        assert answer.status_code == 401
        return answer.content.decode().replace(email, "").split("csrfmiddlewaretoken")[0]

    assert page(acme_noc.email) == page("nobody@acme.example")


def test_passwords_are_stored_as_argon2():
    from ispvm.settings import security

    assert security.PASSWORD_HASHERS == ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "PASSWORD_HASHERS", security.PASSWORD_HASHERS)
        get_hashers_by_algorithm.cache_clear()
        from django.contrib.auth import hashers

        hashers.get_hashers.cache_clear()
        encoded = make_password("x" * 12, hasher="argon2")
    get_hashers_by_algorithm.cache_clear()
    hashers.get_hashers.cache_clear()
    assert encoded.startswith("argon2$argon2id$")
