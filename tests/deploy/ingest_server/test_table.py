"""Who makes room for whom."""

from dataclasses import dataclass

from ispvm.deploy.ingest_server.table import ConnectionTable


@dataclass(eq=False)
class Peer:
    address: str = "10.0.0.1"
    certificate: bytes = b""
    is_idle: bool = False
    is_evictable: bool = True
    buffered: int = 0


def table(total: int = 100, per_address: int = 3, per_certificate: int = 2):
    return ConnectionTable(total=total, per_address=per_address, per_certificate=per_certificate)


def filled(rows, *peers: Peer):
    for peer in peers:
        for victim in rows.add(peer):
            rows.remove(victim)
    return rows


class TestOneAddress:
    def test_the_newest_replaces_the_oldest(self):
        first, *others = [Peer() for _ in range(3)]
        rows = filled(table(), first, *others)

        assert rows.add(Peer()) == [first]

    def test_a_complete_request_is_not_lost(self):
        working, other = Peer(is_evictable=False), Peer()
        rows = filled(table(per_address=2), working, other)

        assert rows.add(Peer()) == [other]

    def test_the_newest_is_closed_while_all_others_have_complete_requests(self):
        rows = filled(table(per_address=1), Peer(is_evictable=False))
        newest = Peer()

        assert rows.add(newest) == [newest]

    def test_certificates_do_not_count_for_their_address(self):
        rows = table(per_address=1)
        for number in range(5):
            peer = Peer()
            assert rows.add(peer) == []
            peer.certificate = b"%d" % number  # its handshake is done
            assert rows.add(peer) == []

    def test_a_unix_socket_has_no_address(self):
        rows = table(per_address=1)

        assert [rows.add(Peer(address="")) for _ in range(5)] == [[]] * 5


class TestOneCertificate:
    def test_the_longest_idle_is_closed(self):
        busy, idle, newest = (Peer(certificate=b"a", is_idle=idle) for idle in (False, True, False))
        rows = filled(table(), busy, idle)

        assert rows.add(newest) == [idle]


class TestAllTogether:
    def test_the_oldest_without_certificate_is_closed_before_any_with_one(self):
        agent = Peer(certificate=b"a", is_idle=True)
        strangers = [Peer(f"10.0.0.{n}") for n in range(3)]
        rows = filled(table(total=4), agent, *strangers)

        assert rows.add(Peer("10.0.0.9")) == [strangers[0]]

    def test_then_an_idle_one_of_the_certificate_with_most(self):
        honest = Peer(certificate=b"a", is_idle=True)
        greedy = [Peer(certificate=b"b", is_idle=True) for _ in range(2)]
        rows = filled(table(total=3), honest, *greedy)

        assert rows.add(Peer("10.0.0.9")) == [greedy[0]]

    def test_otherwise_the_newest_is_closed(self):
        rows = filled(table(total=1), Peer(certificate=b"a"))
        newest = Peer("10.0.0.9")

        assert rows.add(newest) == [newest]

    def test_removed_connections_are_not_counted(self):
        rows, peers = table(total=2), [Peer(f"10.0.0.{n}") for n in range(2)]
        filled(rows, *peers)

        assert (rows.remove(peers[0]), rows.remove(peers[0])) == (True, False)
        assert rows.add(Peer("10.0.0.9")) == []
        assert len(rows) == 2


def test_the_largest_buffer_without_certificate_comes_first():
    agent = Peer(certificate=b"a", buffered=900)
    small, large = Peer(buffered=10), Peer(buffered=20)
    complete = Peer(buffered=9999, is_evictable=False)
    rows = filled(table(per_address=9), agent, small, large, complete)

    assert rows.largest_buffer() is large
    for stranger in (small, large):
        rows.remove(stranger)
    assert rows.largest_buffer() is agent
    rows.remove(agent)
    assert rows.largest_buffer() is None
