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

#: Timeouts for answers that never come: alone, and beside others that do come.
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
        # Answers come at once; a busy machine may need longer than a realistic timeout.
        "timeout_s": HANG_SECONDS,
        **fields,
    }


@pytest.fixture
def echo():
    instance = Echo()
    yield instance
    instance.close()


@pytest.fixture
def run():
    """Runs the loop over these targets until so many results are there."""
    stop, results = threading.Event(), []
    loops = []

    def run_loop(*targets, number: int = 1):
        loop = ProbeLoop(results.append, stop, "127.0.0.5")
        loops.append(loop)
        loop.configure(targets)
        loop.start()
        eventually(lambda: len(results) >= number)
        stop.set()
        loop.join(HANG_SECONDS)
        return [{s.metric: s.value for s in result.samples} for result in results]

    yield run_loop
    stop.set()


def test_answered_probes_have_times_and_no_loss(run, echo):
    samples = run(target(echo))[0]

    assert samples["probe.ping.loss_pct"] == 0
    assert samples["device.up"] == 1
    assert samples["probe.ping.rtt_ms"] > 0
    assert samples["probe.ping.jitter_ms"] >= 0
    assert set(echo.sources) == {"127.0.0.5"}


def test_unanswered_probes_are_lost_and_have_no_time(run, echo):
    echo.is_silent = True
    samples = run(target(echo, timeout_s=SHORT))[0]

    assert samples == {"probe.ping.loss_pct": 100.0, "device.up": 0.0}


def test_a_closed_port_is_all_lost(run):
    assert run(target(port=1, timeout_s=SHORT))[0]["device.up"] == 0


def test_partial_answers_are_partial_loss(run, echo):
    echo.drop_each = 4
    # Short against the answers that never come, long for those that do.
    assert run(target(echo, timeout_s=LONG))[0]["probe.ping.loss_pct"] == 25


def test_a_forged_answer_does_not_count(run, echo):
    echo.mangle = True
    assert run(target(echo, timeout_s=SHORT))[0]["probe.ping.loss_pct"] == 100


def test_rounds_follow_the_interval(echo, monkeypatch):
    """On the grid of its interval; missed rounds are skipped, not sent in a burst."""
    monotonic, sent = [1000.0], []
    fake = SimpleNamespace(monotonic=lambda: monotonic[0], time=lambda: 1e9 + monotonic[0])
    monkeypatch.setattr(loop_module, "time", fake)
    monkeypatch.setattr(loop_module, "_IDLE_SECONDS", 0)
    loop = ProbeLoop(lambda _result: None, threading.Event())
    monkeypatch.setattr(loop, "_send", lambda _round, _index: sent.append(monotonic[0]))
    loop.configure([target(echo, interval_s=10, count=1, timeout_s=1)])
    for moment in [*range(1000, 1045), 1500, 1500, *range(1501, 1515)]:
        monotonic[0] = float(moment)
        loop.step()
    loop._close()

    assert [later - earlier for earlier, later in itertools.pairwise(sent[:4])] == [10.0] * 3
    assert sent.count(1500.0) == 1
    assert len([moment for moment in sent if moment > 1500]) in {1, 2}


def test_an_unchanged_config_changes_nothing(echo):
    stop, results = threading.Event(), []
    loop = ProbeLoop(results.append, stop)
    often = {"interval_s": 0.15, "timeout_s": 0.1, "count": 3}
    loop.configure([target(echo, **often)])
    loop.start()
    eventually(lambda: len(results) >= 2)
    loop.configure([target(echo, **often)])
    before = len(results)
    eventually(lambda: len(results) >= before + 3)
    loop.configure([target(echo, **{**often, "count": 2})])
    eventually(lambda: len(loop._targets) == 1 and loop._targets["t1"]["count"] == 2)
    before = len(results)
    eventually(lambda: len(results) >= before + 2)
    loop.configure([])
    eventually(lambda: not loop._targets)
    before = len(results)
    time.sleep(0.3)
    stop.set()
    loop.join(HANG_SECONDS)

    assert len(results) == before


def test_an_unchanged_config_probes_no_target_twice_in_one_interval(echo, monkeypatch):
    monotonic, sent = [1000.0], []
    fake = SimpleNamespace(monotonic=lambda: monotonic[0], time=lambda: 1e9 + monotonic[0])
    monkeypatch.setattr(loop_module, "time", fake)
    monkeypatch.setattr(loop_module, "_IDLE_SECONDS", 0)
    loop = ProbeLoop(lambda _result: None, threading.Event())
    monkeypatch.setattr(loop, "_send", lambda _round, _index: sent.append(monotonic[0]))
    for moment in range(1000, 1060):
        monotonic[0] = float(moment)
        loop.configure([target(echo, interval_s=10, count=1, timeout_s=1)])
        loop.step()
    loop._close()

    assert [later - earlier for earlier, later in itertools.pairwise(sent)] == [10.0] * 4


def test_tcp_connect(run):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        here = target(id="t1", method="tcp", port=listener.getsockname()[1])
        samples = run(here)[0]

    assert samples["probe.tcp.up"] == 1
    assert samples["probe.tcp.connect_ms"] > 0
    assert samples["device.up"] == 1


def test_tcp_refused_has_no_time(run):
    assert run(target(method="tcp", port=1, timeout_s=SHORT))[0] == {
        "probe.tcp.up": 0.0,
        "device.up": 0.0,
    }


def test_five_hundred_targets_share_one_socket_and_one_thread(run, echo):
    threads = threading.active_count()
    # One datagram each: all of them fit into the buffer of a socket whose reader has to wait.
    many = [target(echo, id=f"t{n}", device=None, interval_s=2.0, count=1) for n in range(500)]
    results = run(*many, number=500)

    assert all(samples["probe.ping.loss_pct"] == 0 for samples in results)
    assert threading.active_count() <= threads + 1


def test_unknown_methods_are_ignored(run, echo):
    results = run(target(id="t0", method="carrier_pigeon"), target(echo))

    assert "probe.ping.loss_pct" in results[0]


def test_targets_begin_on_a_grid_spread_by_their_id():
    now = 1000.4
    times = {first_due(target(id=f"t{n}", interval_s=5.0), now) for n in range(200)}

    assert min(times) >= 1005
    assert max(times) < 1006.0
    assert len(times) > 190


def test_a_device_is_up_while_any_target_of_it_answers():
    one, other = target(id="one"), target(id="other")
    reachability = Reachability()
    reachability.configure([one, other])

    assert reachability.update(finished_round(one, 1.0)).value == 1
    assert reachability.update(finished_round(other)).value == 1
    assert reachability.update(finished_round(one)).value == 0
    assert reachability.update(finished_round(target(device=None), 1.0)) is None


def finished_round(probed, *times: float) -> Round:
    return Round(probed, 0.0, 4, 0.0, dict(enumerate(times)))


def test_one_answer_has_no_jitter():
    assert {s.metric for s in samples_of(finished_round(target(), 3.0))} == {
        "probe.ping.loss_pct",
        "probe.ping.rtt_ms",
    }
    assert (mean([]), jitter([1.0])) == (None, None)
    assert jitter([1.0, 3.0, 2.0]) == 1.5
