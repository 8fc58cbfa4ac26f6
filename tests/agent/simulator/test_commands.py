"""Menus and commands without sockets: replies are derived from the model."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.failures import LinkCut
from agent.simulator.generator import generate_blueprint
from agent.simulator.menus import V6, V7
from agent.simulator.menus.traffic import bytes_carried
from agent.simulator.menus.view import View
from agent.simulator.network import Network
from agent.simulator.routeros import formats
from agent.simulator.routeros.commands import Trap, parse, reply_to
from agent.simulator.routeros.queries import QueryInvalid, matches

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ISP = generate_blueprint(1)
HOUR = timedelta(hours=1)


class Router:
    """A client of one router, at times that the test chooses."""

    def __init__(self, name: str, network: Network | None = None) -> None:
        self.name = name
        self.network = network or Network(ISP, NOON)

    def command(self, *words: str, at: datetime = NOON) -> list[list[str]]:
        return list(reply_to(View(self.network, ISP.router(self.name), at), parse(words)))

    def rows(self, *words: str, at: datetime = NOON) -> list[dict[str, str]]:
        return [
            dict(word[1:].split("=", 1) for word in sentence[1:])
            for sentence in self.command(*words, at=at)
            if sentence[0] == "!re"
        ]


class TestPrint:
    @pytest.mark.parametrize(
        ("device", "menu"),
        [
            *((device, menu) for device in ("cr1", "er2", "bng1", "acc3") for menu in V7),
            *(("acc2", menu) for menu in V6),
        ],
    )
    def test_every_menu_replies_and_counts_its_rows(self, device, menu):
        router = Router(device)
        sentences = router.command(f"{menu}/print")
        assert sentences[-1] == ["!done"]
        rows = [sentence for sentence in sentences if sentence[0] == "!re"]
        sends_empty = not rows and device != "acc2"  # which runs RouterOS 6
        assert sentences == [*([["!empty"]] if sends_empty else rows), ["!done"]]
        assert router.command(f"{menu}/getall") == sentences
        assert router.command(f"{menu}/print", "=count-only=") == [["!done", f"=ret={len(rows)}"]]
        ids = [word for row in rows for word in row if word.startswith("=.id=")]
        assert len(set(ids)) == len(ids)

    def test_the_proplist_selects_and_ignores_unknown_names(self):
        words = ("/interface/print", "=.proplist=name,nonsense", "?name=lo")
        assert Router("cr1").command(*words) == [["!re", "=name=lo"], ["!done"]]

    def test_counting_with_a_query(self):
        counted = Router("cr1").command("/interface/print", "?type=ether", "=count-only")
        assert counted == [["!done", "=ret=7"]]

    @pytest.mark.parametrize(
        ("words", "messages"),
        [
            (
                ["/caps-man/interface/print"],
                ("no such command or directory (caps-man)", "no such command prefix"),
            ),
            (
                ["/routing/bgp/instance/print"],
                ("no such command or directory (instance)", "no such command prefix"),
            ),
            (["/nothing"], ("no such command or directory (nothing)", "no such command prefix")),
            (["/"], ("no such command or directory ()", "no such command prefix")),
            (["/interface/explode"], ("no such command",)),
            (["/system/print"], ("no such command",)),
            (["/interface/set", "=.id=*1", "=disabled=yes"], ("not enough permissions (9)",)),
            (["/interface/print", "=colour=red"], ("unknown parameter colour",)),
            (["/interface/ethernet/monitor", "=once="], ()),
        ],
    )
    def test_invalid_commands_are_trapped(self, words, messages):
        if not messages:
            assert Router("cr1").command(*words) == [["!done"]]
            return
        with pytest.raises(Trap) as trapped:
            Router("cr1").command(*words)
        assert trapped.value.messages == messages

    @pytest.mark.parametrize("query", ["?#&", "?#5", "?#x", "?", "?<", "?#" + "0." * 100])
    def test_an_invalid_query_is_trapped(self, query):
        with pytest.raises(Trap, match="invalid query"):
            Router("cr1").command("/interface/print", query)

    @given(
        st.lists(
            st.text("/?=.#!-<>", max_size=4)
            | st.sampled_from(["/interface/print", "/ppp/active/getall", "=count-only=", "?type"])
            | st.text(max_size=12),
            min_size=1,
            max_size=6,
        )
    )
    def test_arbitrary_commands_get_a_trap_or_a_reply(self, words):
        try:
            assert Router("bng1").command(*words)[-1][0] == "!done"
        except Trap as trap:
            assert all(sentence[0] == "!trap" for sentence in trap.sentences())  # noqa: PT017

    def test_a_command_may_be_written_with_blanks(self):
        assert Router("cr1").rows("/system identity print") == [{"name": "cr1"}]


class TestQueries:
    ROW = {"name": "ether1", "type": "ether", "mtu": "1500", "comment": ""}

    @pytest.mark.parametrize(
        ("queries", "expected"),
        [
            ([], True),
            (["name"], True),
            (["-name"], False),
            (["-running"], True),
            (["name=ether1"], True),
            (["=name=ether1"], True),
            (["comment="], True),
            (["running=false"], False),
            (["<mtu=9000"], True),
            ([">mtu=9000"], False),
            (["<running=5"], False),
            (["<name=ether2"], True),
            (["type=ether", "name=x"], False),
            (["type=vlan", "type=ether", "#|"], True),
            (["type=vlan", "type=ether", "#&"], False),
            (["type=vlan", "#!"], True),
            (["type=vlan", "type=ether", "#|!"], False),
            (["type=vlan", "type=ether", "#0"], True),
            (["type=vlan", "type=ether", "#1"], False),
            (["type=ether", "#.!", "#|"], True),
            (["type=ether", "type=vlan", "#1.|", "#1!|"], True),
        ],
    )
    def test_follow_the_manual(self, queries, expected):
        assert matches(self.ROW, queries) is expected

    @given(st.lists(st.text(max_size=20), max_size=10))
    def test_arbitrary_queries_never_fail(self, queries):
        try:
            assert matches(self.ROW, queries) in {True, False}
        except QueryInvalid:
            return

    @given(st.lists(st.text("#0123!&|.", max_size=12), max_size=6))
    def test_arbitrary_operations_never_fail(self, operations):
        try:
            assert matches(self.ROW, ["name", *("#" + text for text in operations)]) in {
                True,
                False,
            }
        except QueryInvalid:
            return

    def test_have_a_limit(self):
        with pytest.raises(QueryInvalid):
            matches(self.ROW, ["name"] * 65)


class TestFormats:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "0s"),
            (59, "59s"),
            (3600, "1h"),
            (3723, "1h2m3s"),
            (86_400 * 8 + 5, "1w1d5s"),
            (-4, "0s"),
        ],
    )
    def test_durations(self, seconds, text):
        assert formats.duration(timedelta(seconds=seconds)) == text

    @pytest.mark.parametrize(
        ("milliseconds", "text"),
        [(4070, "4s70ms"), (60_000, "1m"), (720, "720ms"), (0, "0s"), (-5, "0s")],
    )
    def test_precise_durations(self, milliseconds, text):
        assert formats.precise_duration(timedelta(milliseconds=milliseconds)) == text

    @pytest.mark.parametrize(("hours", "text"), [(3, "+03:00"), (-5, "-05:00"), (0, "+00:00")])
    def test_offsets(self, hours, text):
        assert formats.gmt_offset(timedelta(hours=hours)) == text

    @given(st.floats(1e3, 1e11), st.floats(0, 1e8), st.floats(0, 1e5), st.floats(0, 6.28))
    def test_traffic_never_runs_backwards(self, rate, seconds, more, phase):
        before = bytes_carried(rate, seconds, phase=phase)
        assert 0 <= before <= bytes_carried(rate, seconds + more, phase=phase)


class TestModel:
    @pytest.fixture
    def outage(self) -> Network:
        """The northern backhaul and upstream A are down."""
        network = Network(ISP, NOON)
        network.inject(LinkCut("f1", NOON + HOUR, "cr2-agg1"))
        network.inject(LinkCut("f2", NOON + HOUR, "er1-upstream-a"))
        return network

    def heal(self, network: Network) -> None:
        for failure in ("f1", "f2"):
            network.heal(failure, at=NOON + 1.5 * HOUR)

    def port(self, network: Network, device: str, to: str, at: datetime) -> dict[str, str]:
        (row,) = Router(device, network).rows("/interface/print", f"?comment=to {to}", at=at)
        return row

    def test_an_interface_records_its_outage(self, outage):
        before = self.port(Network(ISP, NOON), "cr2", "agg1", NOON)
        assert (before["running"], before["link-downs"]) == ("true", "0")
        assert "last-link-down-time" not in before
        during = self.port(outage, "cr2", "agg1", NOON + 1.2 * HOUR)
        assert (during["running"], during["link-downs"]) == ("false", "1")
        assert during["last-link-down-time"] == "2026-03-01 16:00:00"  # three hours ahead of UTC
        self.heal(outage)
        after = self.port(outage, "cr2", "agg1", NOON + 2 * HOUR)
        assert (after["running"], after["link-downs"]) == ("true", "1")
        assert after["last-link-up-time"] == "2026-03-01 16:30:00"
        assert int(during["rx-byte"]) < int(after["rx-byte"])

    def test_counters_do_not_change_while_a_link_is_down(self, outage):
        one = self.port(outage, "agg1", "cr2", NOON + 1.1 * HOUR)
        other = self.port(outage, "agg1", "cr2", NOON + 1.4 * HOUR)
        assert one == other
        far = self.port(outage, "cr2", "agg1", NOON + 1.4 * HOUR)
        assert (far["tx-byte"], far["rx-byte"]) == (one["rx-byte"], one["tx-byte"])

    def test_a_neighbor_disappears_with_its_link(self, outage):
        neighbors = Router("cr2", outage).rows("/routing/ospf/neighbor/print", at=NOON + HOUR)
        assert {row["router-id"] for row in neighbors} == {
            "10.255.0.1",
            "10.255.0.3",
            "10.255.0.13",
        }
        self.heal(outage)
        at = NOON + 1.5 * HOUR + timedelta(seconds=61)
        neighbors = Router("cr2", outage).rows("/routing/ospf/neighbor/print", at=at)
        back = next(row for row in neighbors if row["router-id"] == "10.255.0.7")
        assert back["adjacency"] == "1m1s"
        assert int(back["state-changes"]) > int(neighbors[0]["state-changes"])
        assert not {"interface", "dr", "bdr", "priority"} & set(back)

    def test_a_bgp_session_that_went_down_keeps_its_row_and_stale_prefixes(self, outage):
        router = Router("er1", outage)
        down, internal = router.rows("/routing/bgp/session/print", at=NOON + 1.1 * HOUR)
        assert not {"established", "uptime", "hold-time"} & set(down)
        assert int(down["prefix-count"]) > 900_000
        assert down["ebgp"] == ""
        assert internal["established"] == "true"
        self.heal(outage)
        up, _ = router.rows("/routing/bgp/session/print", at=NOON + 2 * HOUR)
        assert (up["established"], up["uptime"]) == ("true", "30m")
        assert up["last-stopped"] == "2026-03-01 16:00:00"
        connections = router.rows("/routing/bgp/connection/print")
        assert [row["name"] + "-1" for row in connections] == [down["name"], internal["name"]]

    def test_a_cut_fiber_has_no_light(self, outage):
        port = next(p for _, p in ISP.links_at("agg1") if p.interface == "sfp-sfpplus1")
        words = ("/interface/ethernet/monitor", f"=numbers={port.interface},ether1", "=once=")
        down, copper = Router("agg1", outage).rows(*words, at=NOON + HOUR)
        assert (down["status"], down["sfp-rx-power"], down["sfp-rx-loss"]) == (
            "no-link",
            "-40",
            "true",
        )
        assert "rate" not in down
        assert copper["status"] == "no-link"
        assert Router("agg1", outage).rows(words[0], "=numbers=1,0", "=once=", at=NOON + HOUR) == [
            down,
            copper,
        ]  # by their indexes
        (up,) = Router("agg1").rows(*words[:1], f"=.id=*{2:X}", "=once=")
        assert (up["status"], up["rate"]) == ("link-ok", "10Gbps")
        assert -12 < float(up["sfp-rx-power"]) < 0

    def test_subscribers_have_a_session_an_address_and_an_interface(self):
        router = Router("bng2")
        active = router.rows("/ppp/active/print")
        names = {f"<pppoe-{row['name']}>" for row in active}
        assert len({row["address"] for row in active}) == len(active)
        assert len({row["caller-id"] for row in active}) == len(active)
        for row in active:
            low = int(row["session-id"], 16) & 0xFFFFFF
            assert int(row[".id"][1:], 16) & 0xFFFFFF == low
        interfaces = router.rows("/interface/print", "?type=pppoe-in")
        assert {row["name"] for row in interfaces} == names
        assert not any("mac-address" in row for row in interfaces)

    def test_a_session_after_an_outage_is_a_new_one(self):
        network = Network(ISP, NOON)
        router = Router("bng1", network)
        before = {row[".id"] for row in router.rows("/ppp/active/print")}
        network.inject(LinkCut("f1", NOON, "agg1-bng1"))
        assert router.command("/ppp/active/print") == [["!empty"], ["!done"]]
        network.heal("f1", at=NOON + HOUR)
        after = router.rows("/ppp/active/print", at=NOON + 2 * HOUR)
        assert len(after) == len(before)
        assert not before & {row[".id"] for row in after}
        assert all(row["uptime"].startswith(("59m", "1h")) for row in after)

    def test_the_clock_is_local_time_of_the_region(self):
        (clock,) = Router("cr1").rows("/system/clock/print")
        assert (clock["date"], clock["time"]) == ("2026-03-01", "15:00:00")
        assert clock["gmt-offset"] == "+03:00"

    def test_uptime_grows(self):
        router = Router("cr1")
        early = router.rows("/system/resource/print")[0]["uptime"]
        assert early != router.rows("/system/resource/print", at=NOON + HOUR)[0]["uptime"]

    def test_packages_that_are_not_installed_are_marked_available(self):
        rows = Router("cr1").rows("/system/package/print", "?available=true")
        assert rows
        assert {row["version"] for row in rows} == {""}
