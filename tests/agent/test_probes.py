"""Probes on loopback: answered, lost, forged, late; and many at once."""

import itertools
import socket
import threading
import time
from contextlib import closing

import pytest

from agent.probes.loop import ProbeLoop, first_due
from agent.probes.rounds import Reachability, Round, jitter, mean, samples_of
from tests.agent.echo import Echo
from tests.supervisor.waiting import eventually


def target(echo=None, *, id: str = "t1", device: str | None = "d1", **fields):  # noqa: A002
    return {
        "id": id,
        "device_id": device,
        "method": "udp_echo",
        "address": "127.0.0.1",
        "port": echo.port if echo else 9,
        "interval_s": 0.3,
        "count": 4,
        "timeout_s": 0.15,
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

    def go(*targets, number: int = 1, seconds: float = 4.0):
        loop = ProbeLoop(findings.append, stop, "127.0.0.5")
        loops.append(loop)
        loop.configure(targets)
        loop.start()
        deadline = time.monotonic() + seconds
        while len(findings) < number and time.monotonic() < deadline:
            time.sleep(0.01)
        stop.set()
        loop.join(2)
        assert len(findings) >= number
        return [{s.metric: s.value for s in found.samples} for found in findings]

    yield go
    stop.set()


def test_answers_give_times_and_no_loss(run, echo):
    said = run(target(echo))[0]

    assert said["probe.ping.loss_pct"] == 0
    assert said["device.up"] == 1
    assert 0 < said["probe.ping.rtt_ms"] < 100
    assert said["probe.ping.jitter_ms"] >= 0
    assert set(echo.sources) == {"127.0.0.5"}


def test_silence_is_all_lost_and_has_no_time(run, echo):
    echo.is_silent = True
    said = run(target(echo))[0]

    assert said == {"probe.ping.loss_pct": 100.0, "device.up": 0.0}


def test_a_port_that_nobody_has_is_all_lost(run):
    assert run(target(port=1))[0]["device.up"] == 0


def test_part_of_the_answers_is_part_of_the_loss(run, echo):
    echo.drop_each = 4
    assert run(target(echo))[0]["probe.ping.loss_pct"] == 25


def test_an_answer_that_is_not_ours_does_not_count(run, echo):
    echo.mangle = True
    assert run(target(echo))[0]["probe.ping.loss_pct"] == 100


def test_rounds_keep_their_rhythm(run, echo):
    began = time.monotonic()
    said = run(target(echo), number=4)

    assert len(said) >= 4
    assert 0.9 <= time.monotonic() - began < 2.5


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
    loop.join(2)

    assert len(findings) == before
    moments = [sample.at for found in findings for sample in found.samples if "up" in sample.metric]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert min(gaps) > 0.04, "no target is asked twice in one interval"


def test_tcp_connect(run):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        here = target(id="t1", method="tcp", port=listener.getsockname()[1])
        said = run(here)[0]

    assert said["probe.tcp.up"] == 1
    assert 0 < said["probe.tcp.connect_ms"] < 100
    assert said["device.up"] == 1


def test_tcp_refused_has_no_time(run):
    assert run(target(method="tcp", port=1))[0] == {"probe.tcp.up": 0.0, "device.up": 0.0}


def test_five_hundred_targets_share_one_socket_and_one_thread(run, echo):
    threads = threading.active_count()
    many = [target(echo, id=f"t{n}", device=None, interval_s=60, count=2) for n in range(500)]
    due = time.monotonic()
    for one in many:
        one["interval_s"] = 2.0
    said = run(*many, number=500, seconds=8)

    assert all(one["probe.ping.loss_pct"] == 0 for one in said)
    assert threading.active_count() <= threads + 1
    assert time.monotonic() - due < 8


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
