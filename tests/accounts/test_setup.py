"""The setup page: one code, one successful request, then unavailable."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, connections
from django.test import Client
from structlog.testing import capture_logs

from apps.accounts import setup
from apps.accounts.attempts import ANONYMOUS
from apps.accounts.models import Membership, PlatformOperator, Setup, User
from apps.alerts.models import AlertRule
from apps.alerts.packs import load_pack
from apps.audit.models import PlatformRecord
from apps.core import clock
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from tests import database

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])
URL = "/setup/"
EMAIL, PASSWORD = "root@isp.example", "correct-horse-battery"


@pytest.fixture(autouse=True)
def _no_users(transactional_db):
    """Platform operators of other tests are committed and remain (``tests.accounts.operators``)."""
    database.empty_all_tables()


def logged_code() -> str:
    with capture_logs() as lines:
        setup.log_setup_code(at=clock.now())
    return next(line["setup_code"] for line in lines if line["event"] == "setup_code_created")


def form(code: str, **changes: str) -> dict[str, str]:
    return {
        "code": code,
        "tenant_name": "Isla Net",
        "name": "Root Person",
        "email": EMAIL,
        "password": PASSWORD,
        "password_confirm": PASSWORD,
        **changes,
    }


def send(code: str, *, client: Client | None = None, at: str = "192.0.2.7", **changes: str) -> int:
    answer = (client or Client()).post(URL, form(code, **changes), REMOTE_ADDR=at)
    return answer.status_code


class TestSetupPage:
    def test_setup_with_the_code_of_the_log(self):
        client = Client()
        assert client.get("/sign-in/")["Location"] == URL
        assert client.get(URL).status_code == 200

        assert send(logged_code(), client=client) == 200

        assert setup.grant_operator(at=clock.now())
        assert PlatformOperator.objects.get().user.email == EMAIL
        assert Membership.objects.get().role == "admin"
        assert client.post("/sign-in/", {"email": EMAIL, "password": PASSWORD}).status_code == 302
        actions = set(PlatformRecord.objects.values_list("action", flat=True))
        assert {"tenant.created", "platform_operator.added", "sign_in.succeeded"} <= actions
        with acting_in(Membership.objects.get().tenant):
            assert set(AlertRule.objects.values_list("key", "is_enabled")) == {
                (document["id"], True) for document in load_pack("first")
            }

    def test_the_code_is_accepted_in_lower_case_and_without_hyphens(self):
        assert send(logged_code().lower().replace("-", " ")) == 200

    def test_page_and_code_are_invalid_afterwards(self):
        code = logged_code()
        send(code)

        assert Client().get(URL).status_code == 404
        assert send(code, email="other@isp.example") == 404
        assert User.objects.count() == 1
        assert Client().get("/sign-in/").status_code == 200
        with capture_logs() as lines:
            setup.log_setup_code(at=clock.now())
        assert lines == []

    def test_is_not_found_when_a_tenant_exists(self, acme):
        assert Client().get(URL).status_code == 404
        assert send("AAAAA-AAAAA-AAAAA-AAAAA") == 404
        assert Client().get("/sign-in/").status_code == 200

    def test_a_form_without_csrf_token_is_refused(self):
        strict = Client(enforce_csrf_checks=True)

        assert send(logged_code(), client=strict) == 403
        assert not User.objects.exists()


class TestSetupCode:
    def test_is_100_bits_and_not_in_the_database(self):
        code = logged_code()

        assert re.fullmatch(r"([A-Z2-7]{5}-){3}[A-Z2-7]{5}", code)
        row = Setup.objects.values().get()
        assert not any(str(value) in {code, code.replace("-", "")} for value in row.values())

    def test_is_the_same_in_every_process_until_it_expires(self):
        codes = {logged_code() for _ in range(3)}
        with time_machine.travel(clock.now() + setup.CODE_LIFETIME + timedelta(seconds=1)):
            later = logged_code()

        assert len(codes) == 1
        assert later not in codes

    def test_depends_on_the_secret_key(self, settings):
        code = logged_code()
        settings.SECRET_KEY = "another" * 8

        assert send(code) == 403

    @pytest.mark.parametrize("wrong", ["", "AAAAA-AAAAA-AAAAA-AAAAA", "é" * 20])
    def test_a_wrong_one_creates_nothing(self, wrong):
        logged_code()

        assert send(wrong) == 403
        assert not User.objects.exists()
        assert Setup.objects.get().failures == 1

    def test_an_expired_one_creates_nothing(self):
        code = logged_code()

        with time_machine.travel(clock.now() + setup.CODE_LIFETIME):
            assert send(code) == 403

    def test_attempts_per_address_are_limited(self):
        code = logged_code()
        began = clock.now().replace(minute=0, second=0, microsecond=0)

        with time_machine.travel(began, tick=False):
            assert {send("wrong") for _ in range(ANONYMOUS.count)} == {403}
            assert send(code) == 429
            assert send(code, at="198.51.100.9") == 200

    def test_attempts_from_many_addresses_do_not_block_the_page(self):
        code = logged_code()
        Setup.objects.update(failures=1_000_000)
        with capture_logs() as lines:
            assert send("wrong", at="198.51.100.1") == 403

        assert [line["failures"] for line in lines if line["event"] == "setup_code_refused"] == [
            1_000_001
        ]
        assert logged_code() == code
        assert send(code, at="198.51.100.9") == 200

    def test_an_invalid_form_does_not_use_it_up(self):
        code = logged_code()
        faulty = [
            {"password": "password1234", "password_confirm": "password1234"},
            {"password_confirm": "something else"},
            {"email": "nobody"},
            {"tenant_name": " "},
        ]

        assert [send(code, **changes) for changes in faulty] == [422] * len(faulty)
        assert not User.objects.exists()
        assert not Tenant.objects.exists()
        assert send(code) == 200


def test_of_concurrent_requests_exactly_one_succeeds():
    code = logged_code()
    start, answers = threading.Barrier(8), []

    def work(number: int) -> None:
        start.wait()
        answers.append(send(code, at=f"198.51.100.{number}", email=f"root{number}@isp.example"))
        connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200, *[404] * 7]
    assert (User.objects.count(), Tenant.objects.count()) == (1, 1)


def in_thread(work: Callable[[], int]) -> int:
    """The result of a call in a thread with its own connections."""

    def run() -> int:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


class TestKeeper:
    def test_grants_the_operator_and_stops(self, monkeypatch):
        monkeypatch.setattr(setup, "GRANT_SECONDS", 0.05)
        stopped = threading.Event()
        keeper = threading.Thread(target=setup.grant_operator_when_completed, args=(stopped,))
        keeper.start()

        send(logged_code())
        keeper.join(timeout=300)

        assert not keeper.is_alive()
        assert PlatformOperator.objects.get().user.email == EMAIL

    @pytest.mark.parametrize("table", ["accounts_setup", "tenancy_tenant"])
    def test_does_not_miss_a_setup_that_completes_between_two_of_its_queries(self, table):
        code = logged_code()
        completions = []

        def complete_after(execute, sql, params, many, context):
            result = execute(sql, params, many, context)
            if f'FROM "{table}"' in sql and not completions:
                completions.append(in_thread(lambda: send(code)))
            return result

        with connection.execute_wrapper(complete_after):
            is_done = setup.grant_operator(at=clock.now())

        assert completions == [200]
        assert is_done == PlatformOperator.objects.exists()
        assert setup.grant_operator(at=clock.now())
        assert PlatformOperator.objects.get().user.email == EMAIL

    def test_adds_no_operator_before_the_setup(self):
        logged_code()

        assert not setup.grant_operator(at=clock.now())
        assert not PlatformOperator.objects.exists()

    def test_adds_no_second_operator(self):
        send(logged_code())
        first = User.objects.get()
        setup.grant_operator(at=clock.now())
        other = User.objects.create_user("other@isp.example", PASSWORD)
        Setup.objects.update(completed_by=other)

        assert setup.grant_operator(at=clock.now())
        assert [row.user for row in PlatformOperator.objects.select_related("user")] == [first]

    def test_ignores_the_row_if_tenants_existed_before(self, acme, globex):
        """The row is writable by the app role: a compromised web process must not create an operator."""
        intruder = User.objects.create_user("intruder@isp.example", PASSWORD)
        Setup.objects.create(
            nonce="0", expires_at=clock.now(), completed_at=clock.now(), completed_by=intruder
        )

        assert setup.grant_operator(at=clock.now())
        assert not PlatformOperator.objects.exists()
