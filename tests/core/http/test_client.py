"""The exchange itself, against servers that misbehave."""

import hashlib
import ssl
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from itertools import chain, repeat
from types import SimpleNamespace

import pytest

from apps.core.http import Answer, EgressClient, EgressError, EgressPolicy, Request
from apps.core.http.client import BODY_LIMIT
from tests.core.http.certificates import make_certificate
from tests.core.http.servers import ScriptedServer, answer, raw, reset
from tests.supervisor.waiting import HANG_SECONDS

LOOPBACK = EgressPolicy(allow=(SimpleNamespace(network=ip_network("127.0.0.0/8"), port=None),))
PATIENT = EgressClient(LOOPBACK, connect_seconds=HANG_SECONDS, total_seconds=HANG_SECONDS)
#: For servers that hang: longer than a test may last.
QUICK = EgressClient(LOOPBACK, connect_seconds=HANG_SECONDS, total_seconds=1.0)


def post(
    url: str, body: bytes = b'{"a":1}', *, client: EgressClient = PATIENT, **headers: str
) -> Answer:
    return client.send(Request("POST", url, {"Content-Type": "application/json", **headers}, body))


def failure(url: str, client: EgressClient = PATIENT) -> EgressError:
    with pytest.raises(EgressError) as caught:
        post(url, client=client)
    return caught.value


class TestRequest:
    def test_is_sent_completely_and_unchanged(self):
        with ScriptedServer(answer("200 OK", "X-Seen: yes", body=b"thanks")) as server:
            result = post(f"{server.url}?a=%20b", b"x" * 300_000, **{"X-Event": "ping"})

        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == "POST /hook?a=%20b HTTP/1.1"
        assert {
            f"Host: 127.0.0.1:{server.port}",
            "Content-Length: 300000",
            "Accept-Encoding: identity",
            "Connection: close",
            "X-Event: ping",
        } <= set(lines)
        assert body == b"x" * 300_000
        assert (result.status, result.body, result.body_whole) == (200, b"thanks", True)
        assert result.headers["x-seen"] == "yes"
        assert result.certificate_sha256 == ""

    @pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00", "é"])
    def test_cannot_smuggle_a_header(self, value):
        with ScriptedServer(answer("200 OK")) as server:
            with pytest.raises(ValueError, match="cannot be sent"):
                post(server.url, **{"X-A": value})

        assert server.requests in ([], [b""])


class TestAnswer:
    @pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 403, 404, 410, 429, 500, 502, 503])
    def test_of_any_status_is_an_answer(self, status):
        with ScriptedServer(answer(f"{status} Whatever")) as server:
            assert post(server.url).status == status

    def test_of_http_1_0_without_a_length_ends_with_the_connection(self):
        with ScriptedServer(raw(b"HTTP/1.0 200 OK\r\n\r\nall of it")) as server:
            result = post(server.url)

        assert (result.body, result.body_whole) == (b"all of it", True)

    def test_in_chunks_is_put_together(self):
        data = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )
        with ScriptedServer(raw(data)) as server:
            result = post(server.url)

        assert (result.body, result.body_whole) == (b"abcde", True)

    def test_of_a_server_that_keeps_the_connection_does_not_wait_for_more(self):
        def script(conn, _):
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            released.append(server.released.wait())

        released = []
        with ScriptedServer(script) as server:
            result = post(server.url)
            assert not released, "the server ended first"

        assert (result.body, result.body_whole) == (b"ok", True)

    @pytest.mark.parametrize(
        "head",
        [
            b"Content-Length: 1073741824\r\n\r\n",
            b"\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n40000000\r\n",
        ],
    )
    def test_without_end_is_read_to_the_limit_and_no_further(self, head):
        sent = 0

        def flood(conn, _):
            nonlocal sent
            conn.sendall(b"HTTP/1.1 200 OK\r\n" + head)
            for _n in range(16_384):  # 1 GiB
                conn.sendall(b"x" * 65_536)
                sent += 65_536

        with ScriptedServer(flood) as server:
            result = post(server.url)

        assert (result.status, result.body_whole) == (200, False)
        assert len(result.body) <= BODY_LIMIT
        assert sent < 32 * 1024 * 1024  # what the kernel's buffers took

    @pytest.mark.parametrize(
        "rest",
        [
            b"Content-Length: 100\r\n\r\nhalf",
            b"Transfer-Encoding: chunked\r\n\r\n64\r\nhalf",
            b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        ],
    )
    def test_whose_body_breaks_off_keeps_its_status(self, rest):
        with ScriptedServer(raw(b"HTTP/1.1 200 OK\r\n" + rest)) as server:
            result = post(server.url)

        assert (result.status, result.body_whole) == (200, False)

    def test_compressed_is_left_as_it_is(self):
        import gzip

        bomb = gzip.compress(b"\0" * 10_000_000)
        with ScriptedServer(answer("200 OK", "Content-Encoding: gzip", body=bomb)) as server:
            assert post(server.url).body == bomb

    def test_before_the_request_was_read_is_received(self):
        def early(conn, _):
            conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

        with ScriptedServer(early, reads=False) as server:
            assert post(server.url).status == 413


class TestFailure:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"garbage without any protocol\r\n",
            b"\x00\xff\xfe\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 99 Low\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        ],
        ids=range(10),
    )
    def test_garbage_is_one_and_may_be_tried_again(self, data):
        with ScriptedServer(raw(data)) as server:
            error = failure(server.url)

        assert error.code in {"answer_malformed", "connection_lost", "answer_head_too_large"}
        assert not error.permanent
        assert error.address == f"127.0.0.1:{server.port}"

    def test_a_reset_is_one(self):
        with ScriptedServer(reset) as server:
            assert failure(server.url).code == "connection_lost"

    def test_nobody_listening_is_one(self):
        server = ScriptedServer(answer("200 OK"))
        server.close()

        error = failure(server.url)

        assert error.code == "connect_refused"
        assert error.address == f"127.0.0.1:{server.port}"

    @pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nX: y"])
    def test_silence_ends_at_the_deadline(self, first):
        def hang(conn, _):
            conn.sendall(first)
            server.released.wait()

        with ScriptedServer(hang) as server:
            error = failure(server.url, QUICK)

        assert error.code == "answer_timeout"

    def test_a_drip_of_bytes_ends_at_the_same_deadline(self):
        def drip(conn, _):
            for byte in chain(b"HTTP/1.1 200 OK\r\nX: ", repeat(ord("y"))):
                conn.sendall(bytes([byte]))
                if server.released.wait(0.05):
                    return

        with ScriptedServer(drip) as server:
            error = failure(server.url, QUICK)

        assert error.code == "answer_timeout"

    def test_a_second_address_is_tried_when_the_first_refuses(self):
        with ScriptedServer(answer("204 No Content"), "127.0.0.2") as server:
            client = EgressClient(
                LOOPBACK,
                resolver=lambda *_: [ip_address("127.0.0.1"), ip_address("127.0.0.2")],
            )
            result = client.send(Request("POST", f"http://two.example:{server.port}/", {}))

        assert result.address == f"127.0.0.2:{server.port}"


class TestTls:
    @pytest.fixture
    def tls_server(self, tmp_path) -> Iterator[Callable[..., tuple[str, ScriptedServer]]]:
        servers: list[ScriptedServer] = []

        def start(*, valid: bool = True, name: str = "hook.example") -> tuple[str, ScriptedServer]:
            certificate, key = make_certificate(valid=valid, name=name)
            path = tmp_path / f"{len(servers)}.pem"
            path.write_bytes(certificate + key)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(path)
            server = ScriptedServer(answer("200 OK", body=b"sealed"), tls=context)
            servers.append(server)
            return certificate.decode(), server

        yield start
        for server in servers:
            server.close()

    @staticmethod
    def send(server: ScriptedServer, ca_pem: str = "", seconds: float = HANG_SECONDS) -> Answer:
        client = EgressClient(
            LOOPBACK,
            resolver=lambda *_: [ip_address("127.0.0.1")],
            connect_seconds=HANG_SECONDS,
            total_seconds=seconds,
        )
        return client.send(
            Request("POST", f"https://hook.example:{server.port}/", {}, b"{}", ca_pem)
        )

    def test_is_spoken_with_a_certificate_of_the_endpoints_ca(self, tls_server):
        ca_pem, server = tls_server()

        result = self.send(server, ca_pem)

        assert (result.status, result.body) == (200, b"sealed")
        der = ssl.PEM_cert_to_DER_cert(ca_pem)
        assert result.certificate_sha256 == hashlib.sha256(der).hexdigest()

    @pytest.mark.parametrize(
        "faults", [{"valid": False}, {"name": "other.example"}], ids=["expired", "wrong host"]
    )
    def test_is_refused_with_a_bad_certificate(self, tls_server, faults):
        ca_pem, server = tls_server(**faults)

        with pytest.raises(EgressError) as caught:
            self.send(server, ca_pem)

        assert caught.value.code == "tls_certificate"
        assert server.requests == []

    def test_is_refused_with_an_unknown_authority(self, tls_server):
        _, server = tls_server()

        with pytest.raises(EgressError) as caught:
            self.send(server)

        assert caught.value.code == "tls_certificate"

    def test_to_a_plain_server_fails_without_sending_the_request(self):
        with ScriptedServer(answer("200 OK")) as server:
            with pytest.raises(EgressError) as caught:
                self.send(server, seconds=1.5)

        assert caught.value.code in {"tls_failed", "tls_timeout"}
        assert not any(b"POST" in request for request in server.requests)

    def test_a_bundle_that_is_not_pem_has_its_own_code(self, tls_server):
        _, server = tls_server()

        with pytest.raises(EgressError) as caught:
            self.send(server, "not a certificate")

        assert caught.value.code == "tls_ca_unreadable"
