"""Rate limit of API tokens: others are not affected, and the counter is shared by all processes."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from rest_framework.test import APIClient

from apps.accounts import tokens
from apps.accounts.services import issue_token
from apps.accounts.tokens import admit_token
from apps.core import buckets, clock
from apps.core.buckets import Buckets, Rate, RateExceeded
from tests.clients import bearer, problem
from tests.inventory.factories import ACTOR

PER_MINUTE, AT_ONCE = 8, 2
#: One more every 7.5 s would come while a busy machine is still asking.
SLOWER, REFILL_SECONDS = 1000, 7_500
MANY_PER_MINUTE, MANY = 40, 10
THREADS = 16


@pytest.fixture(autouse=True)
def _slow(settings, monkeypatch) -> None:
    settings.ISPVM_TOKEN_REQUESTS_PER_MINUTE = PER_MINUTE
    monkeypatch.setattr(tokens, "Rate", lambda per_second, burst: Rate(per_second / SLOWER, burst))


@pytest.mark.django_db
class TestRequests:
    def test_over_the_rate_is_a_problem_with_retry_after(self, acme, acme_noc):
        client = bearer(acme, acme_noc)
        answers = [client.get("/api/v1/roles/") for _ in range(AT_ONCE)]
        assert {answer.status_code for answer in answers} == {200}

        over = client.get("/api/v1/roles/")

        assert problem(over) == (429, "rate_exceeded")
        assert REFILL_SECONDS / 2 < int(over["Retry-After"]) <= REFILL_SECONDS + 1

    def test_another_token_of_the_same_user_has_its_own_rate(self, acme, acme_noc):
        one, other = bearer(acme, acme_noc), bearer(acme, acme_noc)
        for _ in range(AT_ONCE):
            one.get("/api/v1/roles/")

        assert other.get("/api/v1/roles/").status_code == 200

    def test_a_session_is_not_counted(self, acme, acme_noc, client):
        client.force_login(acme_noc)

        assert {client.get("/api/v1/roles/").status_code for _ in range(AT_ONCE * 2)} == {200}

    def test_headers_do_not_change_the_rate(self, acme, acme_noc):
        at = clock.now()
        _, text = issue_token(tenant=acme, user=acme_noc, name="x", actor=ACTOR, at=at)
        answers = []
        for number in range(AT_ONCE + 1):
            client = APIClient(
                headers={
                    "Authorization": f"bearer  {text}" if number % 2 else f"Bearer {text}",
                    "X-Forwarded-For": f"192.0.2.{number}",
                }
            )
            answers.append(client.get("/api/v1/roles/").status_code)

        assert answers == [200] * AT_ONCE + [429]


def outcomes_of(calls: int) -> list[bool]:
    """Requests of one token, with the concurrency of one web process."""
    token = f"test-{clock.now().timestamp()}"

    def call(_: int) -> bool:
        try:
            admit_token(token)
        except RateExceeded:
            return False
        return True

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(call, range(calls)))


def test_of_200_requests_exactly_the_burst_passes(settings):
    settings.ISPVM_TOKEN_REQUESTS_PER_MINUTE = MANY_PER_MINUTE

    passed = sum(outcomes_of(200))

    assert passed == MANY


def test_without_redis_each_process_counts(settings, monkeypatch):
    settings.ISPVM_TOKEN_REQUESTS_PER_MINUTE = MANY_PER_MINUTE
    away = Buckets(redis.Redis(port=1, socket_connect_timeout=0.1))
    monkeypatch.setattr(buckets, "_buckets", away)

    passed = sum(outcomes_of(40))

    assert passed == MANY
