"""Tests about the tests: their result depends neither on their order nor on how busy the machine is."""

import ast
import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.isolation import MARKER, RESETS, reset_process, valkey
from tests.slots import own_slot, slot_lock

ROOT = Path(__file__).resolve().parents[1]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MODULES = sorted((ROOT / "apps").rglob("*.py"))

#: With these a test can assert how fast the machine is today, or hope that something has happened by now.
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "sleep"}
CLOCKS |= {"thread_time"}
#: A bound that only ends what hangs is at least this long.
LEAST_BOUND_SECONDS = 60

#: Who uses them all the same, and why no busy machine makes it fail. `tests.supervisor.waiting` has what others need.
CLOCKS_ALLOWED = {
    "agent/simulator/test_lost_paths.py::test_a_slow_link_makes_echoes_late": "a lower bound",
    "agent/simulator/test_lost_paths.py::test_takes_as_long_as_the_path": "a lower bound",
    "agent/simulator/test_sessions.py::test_replies_are_sent_without_delay": "tries until once",
    "agent/test_buffer.py::test_kill_9_loses_no_appended_batch": "chooses a moment to kill",
    "agent/test_probes.py::test_an_unchanged_config_changes_nothing": "nothing may come",
    "agent/test_scheduler.py::test_a_removed_device_is_no_longer_polled": "nothing may come",
    "deploy/installation.py::wait": "polls; its bound only ends what hangs",
    "events/test_broker.py::test_a_worker_recovers_after_the_broker_was_out_of_memory": "recorded",
    "events/test_broker.py::test_a_worker_recovers_after_the_brokers_volume_was_full": (
        "recorded; waits while nothing may work"
    ),
    "events/test_broker.py::works": "repeated until it is true",
    "ingest/test_batch.py::send": "tries again until it is accepted",
    "ingest/test_flood.py::test_a_flooding_agent_does_not_slow_down_another": "recorded; asserted by --long",
    "ingest/slow_clients.py::_work": "clients that are slow",
    "ingest/test_many_slow_clients.py::measure": "recorded; asserted by --long",
    "ingest/test_many_slow_clients.py::work": "recorded; asserted by --long",
    "ingest/test_revocation.py::seconds_until": "recorded; asserted by --long",
    "ingest/test_revocation.py::test_requests_are_refused_while_certificates_cannot_be_checked": (
        "waits until a cache has expired"
    ),
    "ingest/test_signer.py::enroll_while_killing_the_signer": "chooses a moment to kill",
    "rest/test_noisy_neighbor.py::created": "holds a request for a while",
    "rest/test_noisy_neighbor.py::test_time_in_the_database_is_charged": "a lower bound",
    "supervisor/test_processes.py::test_survives_a_process_that_closes_its_output": (
        "time of this thread on the processor, not of the wall"
    ),
    "supervisor/test_database_restart.py::test_everything_comes_back_after_the_database": (
        "told; held by --long"
    ),
    "supervisor/test_dump_over_midnight.py::run": "measures the pause that is reported",
    "supervisor/test_dump_over_midnight.py::test_nobody_waits_for_a_dump_that_runs_over_midnight": (
        "waits for midnight; held by --long"
    ),
    "supervisor/test_dump_over_midnight.py::wait_for": "waits for midnight; held by --long",
    "supervisor/test_full_volume.py::test_everything_waits_and_comes_back": "told; held by --long",
    "supervisor/test_full_volume.py::wait_until_back": "told; held by --long",
    "supervisor/waiting.py::attempts": "ends only what hangs",
    "tenancy/test_pool_bleed.py::cancel": "tries again until it is done",
    "vault/test_rotation_kills.py::run": "chooses a moment to kill",
    "vault/test_rotation_kills.py::run_with_kills": "chooses moments",
    "webhooks/receivers.py::script": "a receiver that is slow",
    "delivery/test_races.py::count": "holds a connection open for a while",
    "delivery/test_races.py::slow": "a receiver that is slow",
    "delivery/test_races.py::test_five_times_at_random_loses_nothing": "chooses moments to kill",
}
#: Bounds shorter than that, of what must not come or must end early.
BOUNDS_ALLOWED = {
    "agent/collectors/test_every_collector.py::test_a_connection_test_has_an_outcome": (
        "what never answers does so for ever"
    ),
    "agent/test_connection_tests.py::test_timeout": "what hangs does so for ever",
}
#: Module-level containers that are filled once, while the apps are loaded.
REGISTRIES = {
    "apps.accounts.tenant_defaults._installers",
    "apps.authorization.limits._limits",
    "apps.delivery.channels._channels",
    "apps.delivery.channels._metrics",
    "apps.events.due._kinds",
    "apps.events.processes._facts",
    "apps.events.retention._cascades",
    "apps.events.retention._rules",
    "apps.events.gauges._gauges",
    "apps.events.gauges._installation_readers",
    "apps.events.gauges._tenant_readers",
    "apps.events.subscriptions._handlers",
    "apps.events.subscriptions._topics",
    "apps.core.messages._templates",
    "apps.ingest.pending._counters",
    "apps.inventory.moves._listeners",
    "apps.inventory.polling_agents._providers",
    "apps.mail.kinds._kinds",
    "apps.tenancy.startup_checks._checks",
    "apps.vault.usages._providers",
}
MAKERS = {"dict", "list", "set", "OrderedDict", "Counter", "defaultdict", "deque", "_Cache"}


def functions_of(tree: ast.AST, name: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Each node with the name of the innermost function around it."""
    for child in ast.iter_child_nodes(tree):
        inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else name
        yield inner, child
        yield from functions_of(child, inner)


def clocks_in(text: str) -> set[str]:
    """Functions that use a clock, or the name of what they import from ``time``."""
    found = set()
    for function, node in functions_of(ast.parse(text)):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr=attr) if attr in CLOCKS:
                found.add(function)
            case ast.ImportFrom(module="time", names=names):
                found |= {name.name for name in names if name.name in CLOCKS}
    return found


def short_bounds_in(text: str) -> set[str]:
    """Functions that give a short ``timeout=``, or wait for an event with short ``seconds=``."""
    found = set()
    for function, node in functions_of(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        call_name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        call_name = node.func.id if isinstance(node.func, ast.Name) else call_name
        names = {"timeout", "seconds"} if call_name in {"eventually", "attempts"} else {"timeout"}
        for keyword in node.keywords:
            match keyword.value:
                case ast.Constant(value=int() | float() as value):
                    if keyword.arg in names and value < LEAST_BOUND_SECONDS:
                        found.add(function)
    return found


def in_tests(search) -> set[str]:
    return {
        f"{path.relative_to(ROOT / 'tests')}::{function}"
        for path in TESTS
        for function in search(path.read_text(encoding="utf-8"))
    }


def state_in(text: str) -> set[str]:
    """Private module-level names that hold a container, or None until they are first used."""
    found = set()
    for node in ast.parse(text).body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                pass
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case _:
                continue
        match value:
            case ast.Dict(keys=[]) | ast.List(elts=[]) | ast.Constant(value=None):
                is_state = True
            case ast.Call(func=ast.Name(id=call_name)):
                is_state = call_name in MAKERS
            case ast.Call(func=ast.Subscript(value=ast.Name(id=call_name))):
                is_state = call_name in MAKERS
            case _:
                is_state = False
        if is_state and name.startswith("_"):
            found.add(name)
    return found


def test_no_test_depends_on_the_speed_of_the_machine():
    """Wait for the event itself (`eventually`, `attempts`), use a fake clock, or assert a ratio."""
    assert in_tests(clocks_in) == set(CLOCKS_ALLOWED)


def test_no_bound_ends_what_is_only_slow():
    assert in_tests(short_bounds_in) == set(BOUNDS_ALLOWED)


def test_state_of_a_process_does_not_outlast_a_test():
    """New module-level state? Put its reset into `tests.isolation.RESETS`; a registry belongs into REGISTRIES."""
    state = {
        f"{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}.{name}"
        for path in MODULES
        if "migrations" not in path.parts
        for name in state_in(path.read_text(encoding="utf-8"))
    }

    assert state == set(RESETS) | REGISTRIES


def test_each_test_finds_an_empty_valkey_of_its_process_own():
    valkey().set("of a former test", 1)

    reset_process()

    assert valkey().keys() == [MARKER.encode()]
    assert valkey().connection_pool.connection_kwargs["db"] == own_slot()
    with pytest.raises(BlockingIOError), slot_lock(own_slot()).open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import time\ndef test_x():\n    assert time.monotonic() < 3", {"test_x"}),
        ("import time\ndef test_x():\n    def f():\n        time.sleep(1)", {"f"}),
        ("from time import perf_counter", {"perf_counter"}),
        ("import time\ndef test_x():\n    time.time()", set()),
        ("def test_x():\n    'time.sleep(3)'", set()),
    ],
)
def test_a_clock_is_found(text, found):
    assert clocks_in(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def test_x():\n    process.wait(timeout=5)", {"test_x"}),
        ("def test_x():\n    eventually(f, seconds=3.0)", {"test_x"}),
        ("def test_x():\n    process.wait(timeout=300); kept('k', seconds=3)", set()),
    ],
)
def test_a_short_bound_is_found(text, found):
    assert short_bounds_in(text) == found


def test_state_is_found():
    text = "_a = {}\n_b: list[int] = []\n_c = None\n_d = Counter()\n_e: X = OrderedDict[int, int]()\nF = {}\n_g = (1,)"

    assert state_in(text) == {"_a", "_b", "_c", "_d", "_e"}
