"""Password spraying and guessing are limited; users are not locked out; cookies give no additional attempts."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from apps.accounts import attempts
from apps.accounts.attempts import (
    ATTEMPTS,
    HOUR,
    NAMES_PER_NETWORK,
    PER_NAME,
    PER_NAME_AND_NETWORK_HOURLY,
    PER_NAME_KNOWN,
    AttemptKind,
    Limit,
    require_attempt,
)
from apps.accounts.known_browsers import COOKIE, LIFETIME, MAX_BROWSERS
from apps.accounts.models import KnownBrowser, User
from apps.core import clock
from tests.accounts.test_second_factor import CODE, code_at, first_step, set_up
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
URL = "/sign-in/"
OFFICE, ELSEWHERE, STRANGER = "192.0.2.7", "203.0.113.80", "198.51.100.9"
COMMON = "Winter2026!Winter2026!"


@pytest.fixture(autouse=True)
def travel():
    """On a slow machine the attempts must not span two windows."""
    began = clock.now().timestamp() // HOUR * HOUR + HOUR
    with time_machine.travel(began, tick=True) as moved:
        yield moved


def attempt(email: str, password: str = "wrong", *, at: str, browser: Client | None = None) -> int:
    body = {"email": email, "password": password}
    return (browser or Client()).post(URL, body, REMOTE_ADDR=at).status_code


def browser_of(user, *, at: str) -> Client:
    """A browser in which this user signed in, and out again."""
    browser = Client()
    assert attempt(user.email, PASSWORD, at=at, browser=browser) == 302
    browser.post("/sign-out/")
    return browser


def with_cookie(value: str) -> Client:
    browser = Client()
    browser.cookies[COOKIE] = value
    return browser


#: Of a name in tests that only need it to be exceeded.
FEW = 20


def guess_from_many_networks(user, guesses: int = FEW) -> list[int]:
    """Few attempts per network, below the limit per network."""
    return [attempt(user.email, at=f"198.51.{number // ATTEMPTS}.1") for number in range(guesses)]


class TestPasswordSpraying:
    @pytest.fixture
    def names(self, acme) -> list[str]:
        names = [f"operator{number:02}@acme.example" for number in range(45)]
        for name in names:
            User.objects.create_user(name, PASSWORD)
        User.objects.get(email=names[40]).set_password(COMMON)
        return names

    def test_of_45_names_from_one_address_is_stopped_at_ten(self, names):
        weak = User.objects.get(email=names[40])
        weak.set_password(COMMON)
        weak.save()

        statuses = [attempt(name, COMMON, at=STRANGER) for name in names]

        assert statuses == [401] * NAMES_PER_NETWORK.count + [429] * (45 - NAMES_PER_NETWORK.count)

    def test_counts_unknown_names_too(self):
        statuses = [attempt(f"nobody{number}@acme.example", at=STRANGER) for number in range(12)]

        assert statuses == [401] * 10 + [429] * 2

    def test_ipv6_addresses_of_one_site_count_together(self, names):
        statuses = [
            attempt(name, COMMON, at=f"2001:db8:7:{number:x}::1")
            for number, name in enumerate(names)
        ]

        assert statuses.count(401) == NAMES_PER_NETWORK.count

    def test_does_not_affect_known_browsers_at_the_same_address(self, names, acme_noc):
        own = browser_of(acme_noc, at=STRANGER)
        for name in names:
            attempt(name, COMMON, at=STRANGER)

        assert attempt(acme_noc.email, PASSWORD, at=STRANGER) == 429
        assert attempt(acme_noc.email, PASSWORD, at=STRANGER, browser=own) == 302

    def test_does_not_affect_other_addresses(self, names, acme_noc):
        for name in names:
            attempt(name, COMMON, at=STRANGER)

        assert attempt(acme_noc.email, PASSWORD, at=OFFICE) == 302

    def test_an_office_where_everybody_signs_in_is_not_limited(self, names):
        statuses = [attempt(name, PASSWORD, at=OFFICE) for name in names]

        assert statuses == [302] * 45

    def test_an_office_where_everybody_mistypes_once_is_not_limited(self, names):
        for name in names:
            assert attempt(name, at=OFFICE) == 401
            assert attempt(name, PASSWORD, at=OFFICE) == 302

    def test_is_limited_even_if_all_names_signed_in_there_before(self, names):
        for name in names[:15]:
            assert attempt(name, PASSWORD, at=OFFICE) == 302

        statuses = [attempt(name, COMMON, at=OFFICE) for name in names[:15]]

        assert statuses == [401] * NAMES_PER_NETWORK.count + [429] * 5

    def test_concurrent_sign_ins_of_one_name_give_no_additional_attempts(self, rf):
        def reserve(name: str):
            request = rf.post(URL, REMOTE_ADDR=STRANGER)
            return require_attempt(request, AttemptKind.PASSWORD, email=name, at=clock.now())

        reserve("own@acme.example")
        for running in [reserve("own@acme.example") for _ in range(5)]:
            running.succeed()

        statuses = [attempt(f"nobody{number}@acme.example", at=STRANGER) for number in range(11)]
        assert statuses == [401] * NAMES_PER_NETWORK.count + [429]

    def test_failures_per_network_are_limited_over_all_names(self, monkeypatch, acme_noc):
        monkeypatch.setattr(attempts, "FAILURES_PER_NETWORK", Limit(12, HOUR))
        for number in range(6):
            assert [attempt(f"n{number}@acme.example", at=STRANGER) for _ in range(2)] == [401] * 2

        assert attempt("n0@acme.example", at=STRANGER) == 429
        assert attempt(acme_noc.email, PASSWORD, at=OFFICE) == 302

    def test_expires_after_an_hour(self, names, travel):
        for name in names:
            attempt(name, COMMON, at=STRANGER)
        travel.shift(timedelta(seconds=HOUR))

        assert attempt(names[44], COMMON, at=STRANGER) == 401


class TestManyAddressesOnOneName:
    @pytest.fixture(autouse=True)
    def _few(self, request, monkeypatch):
        if "one_address" not in request.node.name:
            monkeypatch.setattr(attempts, "PER_NAME", Limit(FEW, HOUR))

    def test_are_limited_per_name(self, acme_noc):
        statuses = guess_from_many_networks(acme_noc, FEW + 5)

        assert statuses == [401] * FEW + [429] * 5

    def test_do_not_lock_out_the_browser_that_the_operator_used_before(self, acme_noc):
        own = browser_of(acme_noc, at=OFFICE)
        guess_from_many_networks(acme_noc)

        assert attempt(acme_noc.email, PASSWORD, at=ELSEWHERE) == 429
        assert attempt(acme_noc.email, PASSWORD, at=ELSEWHERE, browser=own) == 302

    def test_do_not_lock_out_a_new_browser_in_the_operators_own_network(self, acme_noc):
        browser_of(acme_noc, at=OFFICE)
        guess_from_many_networks(acme_noc)

        assert attempt(acme_noc.email, PASSWORD, at=OFFICE) == 302

    def test_the_users_own_network_is_limited_too(self, acme_noc):
        browser_of(acme_noc, at=OFFICE)
        guess_from_many_networks(acme_noc)

        statuses = [attempt(acme_noc.email, at=OFFICE) for _ in range(ATTEMPTS)]

        assert statuses[-1] == 429  # the sign-in before was one of the ten

    def test_do_not_lock_out_other_users(self, acme_noc, acme_admin):
        guess_from_many_networks(acme_noc)

        assert attempt(acme_admin.email, PASSWORD, at=STRANGER) == 302

    def test_one_address_does_not_use_up_the_names_limit(self, acme_noc, travel):
        for _ in range(HOUR // attempts.WINDOW_SECONDS):
            for _ in range(ATTEMPTS + 2):
                attempt(acme_noc.email, at=STRANGER)
            travel.shift(timedelta(seconds=attempts.WINDOW_SECONDS - 1))

        assert PER_NAME_AND_NETWORK_HOURLY.count < PER_NAME.count
        assert attempt(acme_noc.email, PASSWORD, at=ELSEWHERE) == 302


class TestKnownBrowsers:
    def test_number_per_user_is_limited(self, acme_noc):
        for number in range(MAX_BROWSERS + 5):
            browser_of(acme_noc, at=f"203.0.113.{number}")

        rows = KnownBrowser.objects.filter(user=acme_noc)
        assert rows.count() == MAX_BROWSERS
        assert not rows.filter(network="203.0.113.4").exists()

    def test_one_browser_has_one_row(self, acme_noc):
        browser = browser_of(acme_noc, at=OFFICE)
        first = browser.cookies[COOKIE].value
        attempt(acme_noc.email, PASSWORD, at=OFFICE, browser=browser)

        assert KnownBrowser.objects.count() == 1
        assert browser.cookies[COOKIE].value != first
        spoilt = with_cookie(first)
        for _ in range(ATTEMPTS):
            attempt(acme_noc.email, at=OFFICE, browser=Client())
        assert attempt(acme_noc.email, PASSWORD, at=OFFICE, browser=spoilt) == 429

    def test_a_shared_browser_is_known_for_each_user(self, acme_noc, acme_admin):
        browser = browser_of(acme_noc, at=OFFICE)
        attempt(acme_admin.email, PASSWORD, at=OFFICE, browser=browser)
        browser.post("/sign-out/")
        for user in (acme_noc, acme_admin):
            for _ in range(ATTEMPTS + 1):
                attempt(user.email, at=OFFICE)
            assert attempt(user.email, PASSWORD, at=OFFICE) == 429
            shared = with_cookie(browser.cookies[COOKIE].value)
            assert attempt(user.email, "wrong", at=OFFICE, browser=shared) == 401

    def test_all_browsers_of_a_user_share_one_limit(self, acme_noc):
        cookies = [
            browser_of(acme_noc, at=f"203.0.113.{number}").cookies[COOKIE].value
            for number in range(MAX_BROWSERS)
        ]

        statuses = [
            attempt(acme_noc.email, at=STRANGER, browser=with_cookie(cookie))
            for cookie in cookies
            for _ in range(7)
        ]

        assert statuses.count(401) == PER_NAME_KNOWN.count < 7 * MAX_BROWSERS

    def test_counters_stay_while_not_signed_in(self, acme_noc):
        own = browser_of(acme_noc, at=OFFICE)

        statuses = [
            attempt(acme_noc.email, at=f"198.51.100.{number}", browser=own) for number in range(20)
        ]

        assert statuses == [401] * ATTEMPTS + [429] * ATTEMPTS

    def test_do_not_apply_to_other_accounts(self, acme_noc, acme_admin):
        statuses = [
            attempt(acme_admin.email, at=STRANGER, browser=browser_of(acme_noc, at=OFFICE))
            for _ in range(ATTEMPTS)
        ]

        assert statuses == [401] * ATTEMPTS
        another = browser_of(acme_noc, at=ELSEWHERE)
        assert attempt(acme_admin.email, at=STRANGER, browser=another) == 429

    def test_all_browsers_of_a_user_share_the_anonymous_limit(self, acme_noc, monkeypatch):
        monkeypatch.setattr(attempts, "ANONYMOUS", Limit(5, 300))
        cookies = [browser_of(acme_noc, at=OFFICE).cookies[COOKIE].value for _ in range(4)]

        statuses = [
            with_cookie(cookie).post("/sign-in/passkey/options/").status_code
            for cookie in cookies
            for _ in range(3)
        ]

        assert statuses == [200] * 5 + [429] * 7

    def test_are_unknown_after_the_password_changed(self, acme_noc):
        thief = browser_of(acme_noc, at=STRANGER)
        acme_noc.set_password("another-correct-horse")
        acme_noc.save()

        statuses = [attempt(acme_noc.email, at=STRANGER, browser=thief) for _ in range(ATTEMPTS)]
        statuses += [attempt(acme_noc.email, at=STRANGER) for _ in range(2)]

        # Counted with the address, as any stranger's (the thief's own sign-in was the first).
        assert statuses == [401] * (ATTEMPTS - 1) + [429] * 3

    def test_are_unknown_after_the_factors_changed(self, acme_noc):
        before = browser_of(acme_noc, at=OFFICE)
        secret, _ = set_up(first_step(acme_noc, Client(REMOTE_ADDR=ELSEWHERE)))
        for _ in range(ATTEMPTS + 1):
            attempt(acme_noc.email, at=STRANGER)
        assert attempt(acme_noc.email, PASSWORD, at=STRANGER, browser=before) == 429

        assert attempt(acme_noc.email, PASSWORD, at=ELSEWHERE, browser=before) == 302
        assert before.post(CODE, {"code": code_at(secret)}).status_code == 302
        before.post("/sign-out/")
        assert attempt(acme_noc.email, PASSWORD, at=STRANGER, browser=before) == 302

    def test_are_not_created_by_the_password_alone(self, acme_noc):
        set_up(first_step(acme_noc))
        KnownBrowser.objects.all().delete()

        browser = first_step(acme_noc)

        assert COOKIE not in browser.cookies
        assert not KnownBrowser.objects.exists()

    def test_do_not_lift_the_limit_on_codes(self, acme_noc, monkeypatch):
        monkeypatch.setattr(attempts, "CODES_PER_NAME", Limit(15, HOUR))
        secret, _ = set_up(first_step(acme_noc))
        cookies = []
        for step in (0, 30):
            browser = first_step(acme_noc)
            browser.post(CODE, {"code": code_at(secret, step)})
            cookies.append(browser.cookies[COOKIE].value)

        statuses = []
        for cookie in cookies:
            browser = first_step(acme_noc, with_cookie(cookie))
            statuses += [
                browser.post(CODE, {"code": "000000"}).status_code for _ in range(ATTEMPTS)
            ]

        assert statuses == [422] * 15 + [429] * 5

    def test_expire_after_half_a_year(self, acme_noc, travel):
        own = browser_of(acme_noc, at=OFFICE)
        travel.shift(LIFETIME + timedelta(seconds=1))
        for _ in range(ATTEMPTS + 1):
            attempt(acme_noc.email, at=OFFICE)

        assert attempt(acme_noc.email, PASSWORD, at=OFFICE, browser=own) == 429
        browser_of(acme_noc, at=ELSEWHERE)
        assert KnownBrowser.objects.count() == 1

    def test_are_stored_as_digests(self, acme_noc):
        value = browser_of(acme_noc, at=OFFICE).cookies[COOKIE].value

        assert value.encode() not in bytes(KnownBrowser.objects.get().digest)
        assert KnownBrowser.objects.get().network == OFFICE
