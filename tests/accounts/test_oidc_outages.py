"""A hanging provider occupies at most two threads of a process, and its circuit breaker opens after a failure."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_network
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from redis.exceptions import ConnectionError as RedisAway

from apps.accounts.errors import IdentityRefused, ProviderUnavailable
from apps.accounts.oidc import calls, metadata
from apps.accounts.oidc.config import Provider
from ispvm.deploy import gunicorn_group
from tests.accounts.hostile_issuer import running_issuer
from tests.accounts.test_oidc_tokens import begin_login, described, handle_callback
from tests.accounts.test_second_factor import is_in
from tests.supervisor.waiting import HANG_SECONDS

START, SIGN_IN = "/sign-in/with/hostile/", "/sign-in/"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"


class Hanging:
    """A server that never completes a response. It counts connections."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.connections = 0
        self.released = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._begin(self._serve)

    def _begin(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer = self._socket.accept()[0]
            except OSError:
                return
            self.connections += 1
            self._begin(self._hold, peer)

    def _hold(self, peer: socket.socket) -> None:
        with peer:
            try:
                if self.way == "slow head":
                    for byte in HEAD * 50:
                        peer.send(bytes([byte]))
                        if self.released.wait(0.02):
                            return
                if self.way == "slow body":
                    peer.send(HEAD)
                    while not self.released.wait(0.02):
                        peer.send(b" ")
                self.released.wait()
            except OSError:
                return

    def close(self) -> None:
        self.released.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(HANG_SECONDS)


@pytest.fixture(autouse=True)
def _settings(settings):
    settings.ISPVM_EGRESS_ALLOW = (SimpleNamespace(network=ip_network("127.0.0.0/8"), port=None),)
    metadata.clear_cache()
    yield
    metadata.clear_cache()


@pytest.fixture(params=["no answer", "slow head", "slow body"])
def hanging(request, settings) -> Iterator[Hanging]:
    server = Hanging(request.param)
    settings.ISPVM_OIDC_PROVIDERS = (described(server),)
    yield server
    server.close()


def provider_of(server) -> Provider:
    return described(server)


def expire_pause(server) -> None:
    """Expire the open state of the breaker."""
    cache.delete(f"{calls._breaker_key(provider_of(server))}:open")


@pytest.fixture
def _short(monkeypatch):
    monkeypatch.setattr(calls, "CALL_SECONDS", 0.2)


@pytest.mark.django_db(transaction=True)
def test_twenty_sign_in_pages_are_served_while_a_provider_hangs(acme_noc, hanging, monkeypatch):
    """The threads of one web process whose calls never end by themselves."""
    monkeypatch.setattr(calls, "CALL_SECONDS", 600)
    monkeypatch.setattr(calls, "STEP_SECONDS", 600)

    def get(path: str) -> int:
        try:
            return Client().get(path).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(gunicorn_group.threads) as pool:
        clicks = [pool.submit(get, START) for _ in range(20)]
        pages = [pool.submit(get, SIGN_IN) for _ in range(20)]
        try:
            assert [page.result(timeout=120) for page in pages] == [200] * 20
            done = [click.result(timeout=120) for click in clicks if click.done()]
            assert done == [502] * (20 - calls.MAX_CALLS)
            assert hanging.connections == calls.MAX_CALLS < gunicorn_group.threads
        finally:
            hanging.released.set()
    assert [click.result() for click in clicks] == [502] * 20


@pytest.mark.django_db
@pytest.mark.usefixtures("_short")
class TestBreaker:
    def test_opens_after_a_failure(self, acme_noc, hanging):
        responses = [Client().get(START) for _ in range(20)]

        assert [answer.status_code for answer in responses] == [502] * 20
        assert hanging.connections == 1
        assert "is not responding" in responses[-1].content.decode()
        assert Client().get(SIGN_IN).status_code == 200

    def test_is_one_for_all_processes(self, hanging):
        Client().get(START)
        metadata.clear_cache()
        calls._local.clear()

        assert Client().get(START).status_code == 502
        assert hanging.connections == 1

    def test_one_call_probes_after_the_pause(self, hanging):
        Client().get(START)
        expire_pause(hanging)

        with calls.provider_calls(provider_of(hanging)):
            with pytest.raises(ProviderUnavailable) as refused:
                with calls.provider_calls(provider_of(hanging)):
                    pytest.fail("two try at once")
            assert refused.value.code == "provider_paused"

    def test_closes_when_the_provider_responds(self, hanging):
        Client().get(START)
        expire_pause(hanging)
        with calls.provider_calls(provider_of(hanging)):
            pass

        for _ in range(3):
            with calls.provider_calls(provider_of(hanging)):
                pass

    def test_opens_again_when_the_probe_fails(self, hanging):
        Client().get(START)
        expire_pause(hanging)
        Client().get(START)
        Client().get(START)

        assert hanging.connections == 2
        assert cache.get(f"{calls._breaker_key(provider_of(hanging))}:failures") == 2

    def test_a_refused_user_does_not_open_it(self, hanging):
        for _ in range(2):
            with pytest.raises(IdentityRefused), calls.provider_calls(provider_of(hanging)):
                raise IdentityRefused
        Client().get(START)
        expire_pause(hanging)

        for _ in range(2):
            with pytest.raises(IdentityRefused), calls.provider_calls(provider_of(hanging)):
                raise IdentityRefused

    def test_is_separate_per_provider(self, hanging, settings):
        Client().get(START)
        with running_issuer() as healthy:
            other = Provider(**{**vars(described(healthy)), "slug": "healthy"})
            settings.ISPVM_OIDC_PROVIDERS = (described(hanging), other)

            assert Client().get("/sign-in/with/healthy/").status_code == 302

    def test_is_per_process_without_redis(self, hanging, monkeypatch):
        def away(*_args, **_kwargs):
            raise RedisAway

        for name in ("get", "add", "incr", "set", "delete", "delete_many"):
            monkeypatch.setattr(calls.cache, name, away, raising=False)

        assert [Client().get(START).status_code for _ in range(3)] == [502] * 3
        assert hanging.connections == 1

    def test_pause_doubles_up_to_a_maximum(self):
        pauses = [calls._pause(failures) for failures in range(1, 20)]

        assert pauses[:5] == [10, 20, 40, 80, 160]
        assert set(pauses[5:]) == {calls.LONGEST_PAUSE_SECONDS}


@pytest.mark.django_db
class TestCallback:
    @pytest.fixture
    def issuer(self, settings):
        with running_issuer() as issuer:
            settings.ISPVM_OIDC_PROVIDERS = (described(issuer),)
            yield issuer

    @pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri"])
    def test_a_hanging_endpoint_opens_the_breaker(self, issuer, name, monkeypatch):
        monkeypatch.setattr(calls, "CALL_SECONDS", 0.2)
        server = Hanging("no answer")
        issuer.document[name] = f"{server.url}/x"
        client = Client()
        login_params = begin_login(client)
        issuer.id_token = issuer.token(login_params["nonce"])

        assert handle_callback(client, login_params).status_code == 502
        assert Client().get(START).status_code == 502
        assert server.connections == 1
        assert not is_in(client)
        server.close()

    def test_waits_for_a_free_slot(self, issuer):
        client = Client()
        login_params = begin_login(client)
        for _ in range(calls.MAX_CALLS):
            calls._slots.acquire()
        threading.Timer(0.2, calls._slots.release).start()
        try:
            answer = handle_callback(client, login_params)
        finally:
            calls._slots.release()

        assert answer.status_code == 401  # the provider was called, and its token is none
        assert "/token" in issuer.requests

    def test_all_calls_of_a_step_share_one_deadline(self, issuer, monkeypatch):
        clock = SimpleNamespace(now=1000.0)
        monkeypatch.setattr(calls, "time", SimpleNamespace(monotonic=lambda: clock.now))
        with calls.provider_calls(described(issuer)):
            assert calls.seconds_left() == calls.CALL_SECONDS
            clock.now += calls.STEP_SECONDS - 1
            assert calls.seconds_left() == pytest.approx(1)
        with pytest.raises(ProviderUnavailable), calls.provider_calls(described(issuer)):
            clock.now += calls.STEP_SECONDS
            calls.seconds_left()

    def test_nothing_is_called_outside_of_a_step(self):
        with pytest.raises(RuntimeError):
            calls.seconds_left()
