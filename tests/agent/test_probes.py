"""Probes on loopback: answered, lost, forged, late; and many at once."""

import itertools
import socket
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import pytest

from agent.probes import loop as loop_module
from agent.probes.loop import ProbeLoop, first_due
from agent.probes.rounds import Reachability, Round, jitter, mean, samples_of
from tests.agent.echo import Echo
from tests.supervisor.waiting import HANG_SECONDS, eventually

#: How long is waited for answers that never come; and for them beside others that do come.
SHORT, LONG = 0.15, 3.0


def target(echo=None, *, id: str = "t1", device: str | None = "d1", **fields):  # noqa: A002
    return {
        "id": id,
        "device_id": device,
        "method": "udp_echo",
        "address": "127.0.0.1",
        "port": echo.port if echo else 9,
        "interval_s": 0.3,
        "count": 4,
        # What answers does so at once; a busy machine may need longer than an operator would wait.
        "timeout_s": HANG_SECONDS,
        **fields,
    }


@pytest.fixture
def echo():
    made = Echo()
    yield made
    made.close()


@pytest.fixture
def run():
    """Runs the loop over these targets until so many findings are there."""
    stop, findings = threading.Event(), []
    loops = []

    def go(*targets, number: int = 1):
        loop = ProbeLoop(findings.append, stop, "127.0.0.5")
        loops.append(loop)
        loop.configure(targets)
        loop.start()
        eventually(lambda: len(findings) >= number)
        stop.set()
        loop.join(HANG_SECONDS)
        return [{s.metric: s.value for s in found.samples} for found in findings]

    yield go
    stop.set()


def test_answers_give_times_and_no_loss(run, echo):
    said = run(target(echo))[0]

    assert said["probe.ping.loss_pct"] == 0
    assert said["device.up"] == 1
    assert said["probe.ping.rtt_ms"] > 0
    assert said["probe.ping.jitter_ms"] >= 0
    assert set(echo.sources) == {"127.0.0.5"}


def test_silence_is_all_lost_and_has_no_time(run, echo):
    echo.is_silent = True
    said = run(target(echo, timeout_s=SHORT))[0]

    assert said == {"probe.ping.loss_pct": 100.0, "device.up": 0.0}


def test_a_port_that_nobody_has_is_all_lost(run):
    assert run(target(port=1, timeout_s=SHORT))[0]["device.up"] == 0


def test_part_of_the_answers_is_part_of_the_loss(run, echo):
    echo.drop_each = 4
    # Short against the answers that never come, long for those that do.
    assert run(target(echo, timeout_s=LONG))[0]["probe.ping.loss_pct"] == 25


def test_an_answer_that_is_not_ours_does_not_count(run, echo):
    echo.mangle = True
    assert run(target(echo, timeout_s=SHORT))[0]["probe.ping.loss_pct"] == 100


def test_rounds_keep_their_rhythm(echo, monkeypatch):
    """On the grid of its interval; rounds that were missed are not made up for in a burst."""
    steady, sent = [1000.0], []
    fake = SimpleNamespace(monotonic=lambda: steady[0], time=lambda: 1e9 + steady[0])
    monkeypatch.setattr(loop_module, "time", fake)
    monkeypatch.setattr(loop_module, "_IDLE_SECONDS", 0)
    loop = ProbeLoop(lambda _found: None, threading.Event())
    monkeypatch.setattr(loop, "_send", lambda _round, _index: sent.append(steady[0]))
    loop.configure([target(echo, interval_s=10, count=1, timeout_s=1)])
    for moment in [*range(1000, 1045), 1500, 1500, *range(1501, 1515)]:
        steady[0] = float(moment)
        loop.step()
    loop._close()

    assert [later - earlier for earlier, later in itertools.pairwise(sent[:4])] == [10.0] * 3
    assert sent.count(1500.0) == 1
    assert len([moment for moment in sent if moment > 1500]) in {1, 2}


def test_a_config_that_came_anew_changes_nothing(echo):
    stop, findings = threading.Event(), []
    loop = ProbeLoop(findings.append, stop)
    often = {"interval_s": 0.15, "timeout_s": 0.1, "count": 3}
    loop.configure([target(echo, **often)])
    loop.start()
    eventually(lambda: len(findings) >= 2)
    loop.configure([target(echo, **often)])
    before = len(findings)
    eventually(lambda: len(findings) >= before + 3)
    loop.configure([target(echo, **{**often, "count": 2})])
    eventually(lambda: len(loop._targets) == 1 and loop._targets["t1"]["count"] == 2)
    before = len(findings)
    eventually(lambda: len(findings) >= before + 2)
    loop.configure([])
    eventually(lambda: not loop._targets)
    before = len(findings)
    time.sleep(0.3)
    stop.set()
    loop.join(HANG_SECONDS)

    assert len(findings) == before


def test_a_config_that_came_anew_asks_no_target_twice_in_one_interval(echo, monkeypatch):
    steady, sent = [1000.0], []
    fake = SimpleNamespace(monotonic=lambda: steady[0], time=lambda: 1e9 + steady[0])
    monkeypatch.setattr(loop_module, "time", fake)
    monkeypatch.setattr(loop_module, "_IDLE_SECONDS", 0)
    loop = ProbeLoop(lambda _found: None, threading.Event())
    monkeypatch.setattr(loop, "_send", lambda _round, _index: sent.append(steady[0]))
    for moment in range(1000, 1060):
        steady[0] = float(moment)
        loop.configure([target(echo, interval_s=10, count=1, timeout_s=1)])
        loop.step()
    loop._close()

    assert [later - earlier for earlier, later in itertools.pairwise(sent)] == [10.0] * 4


def test_tcp_connect(run):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        here = target(id="t1", method="tcp", port=listener.getsockname()[1])
        said = run(here)[0]

    assert said["probe.tcp.up"] == 1
    assert said["probe.tcp.connect_ms"] > 0
    assert said["device.up"] == 1


def test_tcp_refused_has_no_time(run):
    assert run(target(method="tcp", port=1, timeout_s=SHORT))[0] == {
        "probe.tcp.up": 0.0,
        "device.up": 0.0,
    }


def test_five_hundred_targets_share_one_socket_and_one_thread(run, echo):
    threads = threading.active_count()
    # One datagram each: all of them fit into the buffer of a socket whose reader has to wait.
    many = [target(echo, id=f"t{n}", device=None, interval_s=2.0, count=1) for n in range(500)]
    said = run(*many, number=500)

    assert all(one["probe.ping.loss_pct"] == 0 for one in said)
    assert threading.active_count() <= threads + 1


def test_unknown_kinds_are_left_out(run, echo):
    said = run(target(id="t0", method="carrier_pigeon"), target(echo))

    assert "probe.ping.loss_pct" in said[0]


def test_targets_begin_on_a_grid_spread_by_their_id():
    now = 1000.4
    times = {first_due(target(id=f"t{n}", interval_s=5.0), now) for n in range(200)}

    assert min(times) >= 1005
    assert max(times) < 1006.0
    assert len(times) > 190


def test_a_device_is_up_while_anything_of_it_answers():
    one, other = target(id="one"), target(id="other")
    reach = Reachability()
    reach.configure([one, other])

    assert reach.judge(done(one, 1.0)).value == 1
    assert reach.judge(done(other)).value == 1
    assert reach.judge(done(one)).value == 0
    assert reach.judge(done(target(device=None), 1.0)) is None


def done(of, *times: float) -> Round:
    return Round(of, 0.0, 4, 0.0, dict(enumerate(times)))


def test_one_answer_has_no_jitter():
    assert {s.metric for s in samples_of(done(target(), 3.0))} == {
        "probe.ping.loss_pct",
        "probe.ping.rtt_ms",
    }
    assert (mean([]), jitter([1.0])) == (None, None)
    assert jitter([1.0, 3.0, 2.0]) == 1.5
