"""Rate limits of every sign-in method: exact under concurrency, with forged headers, and without Redis."""

import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from redis.exceptions import ConnectionError as RedisAway

from apps.accounts import attempts
from apps.accounts.attempts import ANONYMOUS, ATTEMPTS, AttemptKind, caller_address, require_attempt
from apps.accounts.errors import TooManyAttempts
from apps.accounts.known_browsers import COOKIE
from apps.core import clock
from tests.accounts.test_second_factor import CODE, SIGN_IN, code_at, first_step, set_up
from tests.conftest import PASSWORD

NAMED = (AttemptKind.PASSWORD, AttemptKind.CODE, AttemptKind.CONFIRM)
NAME = "noc@acme.example"


def run_concurrently(count: int, call) -> list:
    """What each of so many threads got that were let go together."""
    barrier, got = threading.Barrier(count), []

    def run() -> None:
        barrier.wait()
        got.append(call())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def passes(kind: AttemptKind, *, email: str, address: str = "192.0.2.7", at=None) -> bool:
    request = RequestFactory().post("/", REMOTE_ADDR=address)
    try:
        require_attempt(request, kind, email=email, at=at or clock.now())
    except TooManyAttempts:
        return False
    return True


class TestAtomic:
    @pytest.mark.parametrize("kind", list(AttemptKind))
    def test_of_200_concurrent_attempts_the_limit_passes(self, kind):
        now = clock.now()
        email, limit = (NAME, ATTEMPTS) if kind in NAMED else ("", ANONYMOUS.count)

        statuses = run_concurrently(200, lambda: passes(kind, email=email, at=now))

        assert statuses.count(True) == limit

    def test_of_200_concurrent_attempts_the_limit_passes_without_redis(self, monkeypatch):
        monkeypatch.setattr(attempts.cache, "add", _redis_unavailable, raising=False)
        now = clock.now()

        statuses = run_concurrently(200, lambda: passes(AttemptKind.PASSWORD, email=NAME, at=now))

        assert statuses.count(True) == ATTEMPTS

    def test_kinds_are_counted_separately(self):
        now = clock.now()
        for _ in range(ATTEMPTS):
            passes(AttemptKind.PASSWORD, email=NAME, at=now)

        assert not passes(AttemptKind.PASSWORD, email=NAME, at=now)
        assert passes(AttemptKind.CODE, email=NAME, at=now)

    @pytest.mark.django_db(transaction=True)
    def test_of_200_requests_ten_are_processed(self, acme_noc):
        def post_sign_in(_: int) -> int:
            try:
                body = {"email": acme_noc.email, "password": "wrong"}
                return Client().post(SIGN_IN, body, REMOTE_ADDR="192.0.2.7").status_code
            finally:
                connection.close()

        with ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(post_sign_in, range(200)))

        assert (statuses.count(401), statuses.count(429)) == (ATTEMPTS, 190)


def _redis_unavailable(*_args, **_kwargs):
    raise RedisAway


@pytest.mark.django_db
class TestWithoutRedis:
    """Each process counts for itself: a login is never unlimited, and never impossible."""

    @pytest.fixture(autouse=True)
    def _no_redis(self, monkeypatch):
        for name in ("add", "incr", "get", "set"):
            monkeypatch.setattr(attempts.cache, name, _redis_unavailable, raising=False)

    def test_sign_in_works_and_is_limited(self, acme_noc):
        first_step(acme_noc)
        body = {"email": acme_noc.email, "password": "wrong"}
        statuses = [Client().post(SIGN_IN, body).status_code for _ in range(ATTEMPTS + 1)]

        assert statuses[0] == 401
        assert statuses[-1] == 429

    def test_a_code_is_still_accepted_once(self, acme_noc):
        secret, _ = set_up(first_step(acme_noc))
        used = code_at(secret)

        assert first_step(acme_noc).post(CODE, {"code": used}).status_code == 302
        assert first_step(acme_noc).post(CODE, {"code": used}).status_code == 422

    def test_pages_are_served(self, acme_noc):
        assert first_step(acme_noc).get("/account/").status_code == 200


FORGED = [
    "198.51.100.1",
    "198.51.100.1, 203.0.113.9",
    "127.0.0.1",
    "unknown",
    "",
    ",,,",
    "::1",
    "192.0.2.7:8080",
    "[2001:db8::1]",
    "198.51.100.1\t",
    "x" * 5000,
    "'; --",
    "0x7f.1",
    "198.51.100.1, 127.0.0.1",
    "127.0.0.1, 127.0.0.1",
]


class TestForgedAddress:
    @pytest.mark.parametrize("forged", FORGED)
    def test_is_not_read_without_a_trusted_proxy(self, rf, forged, settings):
        settings.ISPVM_TRUSTED_PROXIES = ()
        request = rf.get("/", REMOTE_ADDR="192.0.2.7", HTTP_X_FORWARDED_FOR=forged)

        assert caller_address(request) == "192.0.2.7"

    @pytest.mark.parametrize("forged", FORGED)
    def test_is_not_read_beyond_what_the_trusted_proxy_wrote(self, rf, forged, settings):
        settings.ISPVM_TRUSTED_PROXIES = (ip_network("127.0.0.1/32"),)
        forwarded_for = f"{forged}, 192.0.2.7"
        request = rf.get("/", REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=forwarded_for)

        assert caller_address(request) == "192.0.2.7"

    @pytest.mark.parametrize(
        "header", ["HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_CLIENT_IP", "HTTP_TRUE_CLIENT_IP"]
    )
    def test_other_headers_are_ignored(self, rf, header, settings):
        settings.ISPVM_TRUSTED_PROXIES = (ip_network("127.0.0.1/32"),)
        request = rf.get("/", REMOTE_ADDR="127.0.0.1", **{header: "198.51.100.1"})

        assert caller_address(request) == "127.0.0.1"


class TestLockout:
    """Attempts of others do not lock a user out of a known browser."""

    @pytest.fixture
    def own(self, acme_noc, db) -> Client:
        browser = first_step(acme_noc, Client(REMOTE_ADDR="192.0.2.7"))
        browser.post("/sign-out/")
        return browser

    @pytest.mark.parametrize(
        "kind", [AttemptKind.PASSWORD, AttemptKind.CODE, AttemptKind.PASSKEY, AttemptKind.PROVIDER]
    )
    @pytest.mark.parametrize("address", ["192.0.2.7", "198.51.100.1"])
    def test_a_known_browser_is_admitted(self, acme_noc, own, kind, address):
        has_name = kind in NAMED
        email, now = acme_noc.email if has_name else "", clock.now()
        stranger = RequestFactory().post("/", REMOTE_ADDR=address)
        with pytest.raises(TooManyAttempts):
            for _ in range(ANONYMOUS.count * 2):
                require_attempt(stranger, kind, email=email, at=now)

        friend = RequestFactory().post("/", REMOTE_ADDR=address)
        friend.COOKIES[COOKIE] = own.cookies[COOKIE].value
        require_attempt(friend, kind, email=email, at=now)

    def test_the_user_signs_in_while_others_guess(self, acme_noc, own):
        body = {"email": acme_noc.email, "password": "wrong"}
        for _ in range(ATTEMPTS * 3):
            Client().post(SIGN_IN, body, REMOTE_ADDR="192.0.2.7")

        assert own.post(SIGN_IN, {**body, "password": PASSWORD}).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/sign-in/passkey/", AttemptKind.PASSKEY),
        ("/sign-in/passkey/options/", AttemptKind.PASSKEY),
        ("/account/confirm/passkey/", AttemptKind.PASSKEY),
        ("/account/confirm/passkey/options/", AttemptKind.PASSKEY),
        ("/account/confirm/", AttemptKind.CONFIRM),
        ("/account/password/", AttemptKind.CONFIRM),
        ("/account/authenticator/", AttemptKind.CODE),
    ],
)
def test_every_sign_in_method_is_limited(acme_noc, path, kind, monkeypatch):
    for name in ("PER_NAME_AND_NETWORK", "PER_BROWSER", "ANONYMOUS"):
        monkeypatch.setattr(attempts, name, attempts.Limit(2, 300))
    client = first_step(acme_noc) if path.startswith("/account/") else Client()

    statuses = [
        client.post(path, {"code": "000000" if kind is AttemptKind.CODE else ""}).status_code
        for _ in range(3)
    ]

    assert 429 not in statuses[:2]
    assert statuses[2] == 429
