"""No connection to a denied address: canaries listen, every connect() is recorded."""

import contextlib
import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest

from apps.core.http import EgressClient, EgressError, EgressPolicy, Request
from apps.core.http.errors import AddressRefused, ConnectFailed, ResolutionFailed
from tests.core.http.servers import ScriptedServer, answer


@dataclass(frozen=True)
class Allow:
    """As the environment's reader makes them."""

    network: IPv4Network | IPv6Network
    port: int | None


def allow(*entries: tuple[str, int | None]) -> tuple[Allow, ...]:
    return tuple(Allow(ip_network(network), port) for network, port in entries)


ADDRESSES_TEXT = """
127.0.0.1 127.0.0.2 127.255.255.254 0.0.0.0 10.0.0.1 172.16.0.1 192.168.0.1 100.64.0.1
169.254.169.254 169.254.170.2 100.100.100.200 168.63.129.16 192.0.0.192 192.0.2.1 198.18.0.1
198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 192.88.99.1 ::1 :: ::7f00:1
::ffff:7f00:1 ::ffff:a9fe:a9fe ::ffff:808:808 ::ffff:0:7f00:1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe
64:ff9b::808:808 64:ff9b:1::7f00:1 2002:7f00:1:: 2002:a9fe:a9fe:: 2001:0:7f00:1:: 2001:db8::1
fe80::1 fec0::1 fc00::1 fd00:ec2::254 fd20:ce::254 ff02::1 2a00:1450::5efe:7f00:1 3ffe::1 4000::1
5f00::1
"""
ADDRESSES = ADDRESSES_TEXT.split()

NOTATIONS_TEXT = """
2130706433 0x7f000001 0x7F.1 017700000001 0177.0.0.1 127.1 127.0.1 127.0.0.1. 0 00000
127.000.000.001 0x7f.0x0.0x0.0x1 127.0.0.0x1 ①②⑦.⓪.⓪.① \uff11\uff12\uff17.0.0.1 127。0。0。1 127%2e0%2e0%2e1
%31%32%37.0.0.1 localhost%00.example user@127.0.0.1 user:pw@127.0.0.1 example.net@127.0.0.1
127.0.0.1\\@example.net [::ffff:127.0.0.1] [::1%25lo] [::1%lo] [127.0.0.1] [0:0:0:0:0:0:0:1] [::]
[::127.0.0.1] 127.0.0.1:x 127.0.0.1:0 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.43518
169.16689662 [::ffff:a9fe:a9fe] [64:ff9b::a9fe:a9fe] ⓛⓞⓒⓐⓛⓗⓞⓢⓣ
"""
NOTATIONS = NOTATIONS_TEXT.split()

PUBLIC_V4 = ip_address("93.184.215.14")
PUBLIC_V6 = ip_address("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


@pytest.fixture
def dialled(monkeypatch) -> list[object]:
    """Every address that any socket of this process connects to."""
    seen: list[object] = []
    connect = socket.socket.connect

    def watch(self, address):
        seen.append(address)
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watch)
    monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: pytest.fail("connect_ex"))
    return seen


@pytest.fixture
def canary() -> Iterator[int]:
    """The port of listeners on 127.0.0.1, 127.0.0.2 and (where there is one) ::1 that must hear nothing."""
    with ScriptedServer(answer("200 OK")) as first:
        others = [ScriptedServer(answer("200 OK"), "127.0.0.2", first.port)]
        if socket.has_ipv6:
            with contextlib.suppress(OSError):
                others.append(ScriptedServer(answer("200 OK"), "::1", first.port))
        try:
            yield first.port
        finally:
            for server in others:
                server.close()
        assert [server.connections for server in (first, *others)] == [0] * (1 + len(others))


def refused(client: EgressClient, url: str) -> EgressError:
    with pytest.raises(EgressError) as refusal:
        client.send(Request("POST", url, {}, b"{}"))
    return refusal.value


def answering(*addresses) -> EgressClient:
    return EgressClient(EgressPolicy(), resolver=lambda _host, _port: list(addresses))


def _literal(text: str) -> str:
    return f"[{text}]" if ":" in text else text


class TestNoConnectionIsMade:
    @pytest.mark.parametrize(
        ("scheme", "text"), list(itertools.product(("http", "https"), ADDRESSES)), ids=str
    )
    def test_for_a_literal(self, scheme, text, canary, dialled):
        error = refused(answering(), f"{scheme}://{_literal(text)}:{canary}/")

        assert error.permanent
        assert dialled == []

    @pytest.mark.parametrize("text", NOTATIONS)
    def test_for_an_odd_notation(self, text, canary, dialled):
        error = refused(EgressClient(EgressPolicy()), f"https://{text}:{canary}/")

        assert error.permanent
        assert dialled == []

    @pytest.mark.parametrize("text", ADDRESSES)
    def test_for_a_name_that_leads_there(self, text, canary, dialled):
        error = refused(answering(ip_address(text)), f"https://hook.example:{canary}/")

        assert isinstance(error, AddressRefused)
        assert dialled == []

    @pytest.mark.parametrize("text", ADDRESSES)
    def test_for_a_name_with_one_good_address_among_bad(self, text, canary, dialled):
        mixed = [PUBLIC_V4, PUBLIC_V6, ip_address(text)]
        for addresses in (mixed, mixed[::-1]):
            error = refused(answering(*addresses), f"https://hook.example:{canary}/")

            assert isinstance(error, AddressRefused)
        assert dialled == []

    @pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "localhost.", "ip6-localhost"])
    def test_for_names_of_this_host(self, name, canary, dialled):
        error = refused(EgressClient(EgressPolicy()), f"http://{name}:{canary}/")

        assert isinstance(error, AddressRefused | ResolutionFailed)
        assert dialled == []

    def test_with_proxies_in_the_environment(self, canary, dialled, monkeypatch):
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{canary}")
        monkeypatch.setenv("no_proxy", "")

        refused(answering(ip_address("10.0.0.1")), "https://hook.example/")

        assert dialled == []

    def test_by_http_to_a_public_address(self, dialled):
        assert refused(answering(PUBLIC_V4), "http://hook.example/").code == "https_required"
        assert dialled == []


class TestRebinding:
    def test_the_resolver_is_queried_once_and_its_result_is_connected_to(self, monkeypatch):
        answers = iter([[PUBLIC_V4], [ip_address("127.0.0.1")]])
        dialled: list[object] = []

        def no_way(_self, address):
            dialled.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(socket.socket, "connect", no_way)
        client = EgressClient(EgressPolicy(), resolver=lambda *_: next(answers))

        assert isinstance(refused(client, "https://hook.example:8443/"), ConnectFailed)
        assert dialled == [(str(PUBLIC_V4), 8443)]
        assert next(answers) == [ip_address("127.0.0.1")]

    def test_a_peer_other_than_the_vetted_is_left_before_a_byte_is_sent(self, monkeypatch):
        with ScriptedServer(answer("200 OK")) as server:
            connect = socket.socket.connect
            monkeypatch.setattr(
                socket.socket,
                "connect",
                lambda self, _: connect(self, ("127.0.0.1", server.port)),
            )
            policy = EgressPolicy(allow=allow(("10.0.0.0/8", None)))

            error = refused(EgressClient(policy), f"http://10.0.0.1:{server.port}/")

            assert error.code == "peer_changed"
        assert server.requests in ([], [b""])


class TestOperatorsAllowList:
    def test_opens_exactly_its_port_and_network(self):
        with ScriptedServer(answer("204 No Content")) as server:
            open_policy = EgressPolicy(allow=allow(("127.0.0.1/32", server.port)))
            other_port = EgressPolicy(allow=allow(("127.0.0.1/32", server.port + 1)))
            other_net = EgressPolicy(allow=allow(("127.0.0.2/32", server.port)))

            result = EgressClient(open_policy).send(Request("POST", server.url, {}, b"{}"))

            assert (result.status, result.is_private) == (204, True)
            assert result.address == f"127.0.0.1:{server.port}"
            for policy in (other_port, other_net):
                assert refused(EgressClient(policy), server.url).code == "address_denied"
        assert server.connections == 1

    @pytest.mark.parametrize(
        "text",
        [
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fe80::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::",
            "64:ff9b::a00:1",
            "0.0.0.0",
            "224.0.0.1",
            "192.0.2.1",
        ],
    )
    def test_never_opens_metadata_special_or_wrapped_addresses(self, text, dialled):
        policy = EgressPolicy(allow=allow(("0.0.0.0/0", None), ("::/0", None)))
        client = EgressClient(policy, resolver=lambda *_: [ip_address(text)])

        assert isinstance(refused(client, "https://hook.example/"), AddressRefused)
        assert dialled == []

    def test_can_open_nat64_of_public_addresses_but_only_by_https(self, monkeypatch):
        dialled: list[object] = []

        def no_way(_self, address):
            dialled.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(socket.socket, "connect", no_way)
        policy = EgressPolicy(allow=allow(("64:ff9b::/96", None)))
        client = EgressClient(policy, resolver=lambda *_: [ip_address("64:ff9b::808:808")])

        assert isinstance(refused(client, "https://hook.example/"), ConnectFailed)
        assert refused(client, "http://hook.example/").code == "https_required"
        assert dialled == [("64:ff9b::808:808", 443)]

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "[::1]"])
    def test_does_not_open_our_own_listeners(self, host, dialled):
        policy = EgressPolicy(
            allow=allow(("127.0.0.0/8", None), ("::1/128", None)), own=(("127.0.0.1", 5432),)
        )

        assert refused(EgressClient(policy), f"http://{host}:5432/").code == "address_own"
        assert dialled == []

    def test_our_own_name_counts_as_well(self, dialled):
        policy = EgressPolicy(allow=allow(("127.0.0.0/8", None)), own=(("localhost", 8000),))

        assert refused(EgressClient(policy), "http://127.0.0.1:8000/").code == "address_own"
        assert dialled == []


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_are_an_answer_and_never_followed(self, status, canary):
        script = answer(f"{status} Moved", f"Location: http://127.0.0.1:{canary}/")
        with ScriptedServer(script) as server:
            policy = EgressPolicy(allow=allow(("127.0.0.0/8", None)))

            result = EgressClient(policy).send(Request("POST", server.url, {}, b"{}"))

        assert result.status == status
        assert server.connections == 1


def test_a_resolver_that_hangs_is_given_up(monkeypatch):
    import threading

    from apps.core.http import client as module

    monkeypatch.setattr(module, "RESOLVE_SECONDS", 0.1)
    never = threading.Event()

    def hang(*_):
        never.wait(10)
        return []

    try:
        error = refused(EgressClient(EgressPolicy(), resolver=hang), "https://hook.example/")
    finally:
        never.set()

    assert (error.code, error.permanent) == ("dns_timeout", False)


def test_the_policy_of_the_installation_protects_its_own_servers(settings):
    from apps.core.http import policy_of_installation

    settings.ISPVM_PUBLIC_URL = "http://127.0.0.1:8000"
    settings.ISPVM_INGEST_URL = "https://127.0.0.1:8001"
    settings.ISPVM_REDIS_URL = "redis://:pw@127.0.0.1:6390/0"
    settings.ISPVM_EGRESS_ALLOW = allow(("127.0.0.1/32", None))

    policy = policy_of_installation()

    for url in ("http://127.0.0.1:8000/", "https://127.0.0.1:8001/", "http://127.0.0.1:6390/"):
        assert refused(EgressClient(policy), url).code == "address_own"
