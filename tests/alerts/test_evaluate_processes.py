"""Two processes that evaluate one tenant at once, and one whose connection the server ends in mid-pass."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.conf import settings

from apps.alerts.models import Alert, AlertTransition
from apps.events.models import Due, OutboxDelivery, OutboxEvent
from apps.events.outbox import DISPATCH
from apps.tenancy import acting_in
from ispvm.supervisor.paths import PROJECT
from tests.database import as_owner, url_of_this_test
from tests.inventory.factories import make_device
from tests.isolation import valkey
from tests.supervisor.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]

ROUTERS = 12
#: Evaluates a tenant at each moment that is named on its standard input, and prints the number of changes.
EVALUATOR = """
import sys
from datetime import datetime
from uuid import UUID
import django
django.setup()
from apps.alerts.services import evaluate_tenant
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT pg_backend_pid()")
    print(cursor.fetchone()[0], flush=True)
for line in sys.stdin:
    at = datetime.fromisoformat(line.strip())
    print(evaluate_tenant(tenant_id=UUID(sys.argv[1]), at=at), flush=True)
"""


class Evaluator:
    """A process that evaluates one tenant, with a connection of its own."""

    def __init__(self, tenant) -> None:
        plain = {k: v for k, v in os.environ.items() if not k.startswith("PROMETHEUS_")}
        plain |= {
            "DATABASE_URL": url_of_this_test(),
            "DJANGO_SETTINGS_MODULE": "ispvm.settings.test",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", EVALUATOR, str(tenant.id)],
            cwd=PROJECT,
            env=plain,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.backend = self.changes()

    def begin(self, at) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{at.isoformat()}\n")
        self._process.stdin.flush()

    def changes(self) -> int:
        """The number of changes of the pass that has begun, at its end."""
        assert self._process.stdout
        return int(self._process.stdout.readline())

    def end(self) -> str:
        """What it wrote to its standard error until its end."""
        return self._process.communicate()[1]


@pytest.fixture
def start(acme) -> Iterator[Callable[[], Evaluator]]:
    started: list[Evaluator] = []

    def start() -> Evaluator:
        started.append(Evaluator(acme))
        return started[-1]

    yield start
    for evaluator in started:
        if evaluator._process.poll() is None:
            evaluator.end()


def add_samples(simulation, routers, seconds: float, value: float) -> None:
    for router in routers:
        simulation.add_sample(seconds, "device.up", "device", router.id, value)


@pytest.fixture
def outage(acme, rules, simulation):
    """Routers that have not responded for long enough: the next pass fires an alert of each."""
    with acting_in(acme):
        routers = [
            make_device(f"r{number}", management_address=f"127.20.1.{number + 1}")
            for number in range(ROUTERS)
        ]
    for seconds in (0, 5, 10, 15):
        add_samples(simulation, routers, seconds, 0.0)
        if seconds < 10:
            simulation.evaluate(seconds + 1)
    assert simulation.alerts() == [("unreachable", "pending")] * ROUTERS
    return routers


@contextmanager
def history_is_held() -> Iterator[None]:
    """No transition can be written meanwhile: a pass stops after it has written its alerts."""
    with as_owner(settings.DATABASES["default"]["NAME"]) as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE alerts_alerttransition IN EXCLUSIVE MODE")
        yield
        cursor.execute("COMMIT")


def is_waiting(backend: int) -> bool:
    with as_owner() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = %s AND NOT granted)", [backend]
        )
        return bool(cursor.fetchone()[0])


def written(acme) -> dict[str, list]:
    """The alerts' states, their moves, the events of these, and when they are dispatched at the latest."""
    with acting_in(acme):
        return {
            "alerts": sorted(Alert.objects.values_list("entity_id", "state")),
            "moves": sorted(AlertTransition.objects.values_list("alert__entity_id", "to_state")),
            "events": sorted(OutboxEvent.objects.values_list("key", "payload__to")),
            "deliveries": sorted(OutboxDelivery.objects.values_list("subscriber", "key")),
            "due": list(Due.objects.filter(kind=DISPATCH).values_list("tenant_id", flat=True)),
        }


def wake_ups() -> int:
    """The tasks in the broker that wake a dispatcher up."""
    keys = [key for key in valkey().scan_iter() if valkey().type(key) == b"list"]
    messages = [message for key in keys for message in valkey().lrange(key, 0, -1)]
    return sum(f'"{DISPATCH}"'.encode() in message for message in messages)


def assert_all_have_fired_once(acme, routers) -> None:
    ids = sorted(router.id for router in routers)
    with acting_in(acme):
        alert_ids = sorted(str(pk) for pk in Alert.objects.values_list("pk", flat=True))
    found = written(acme)
    assert found["alerts"] == [(pk, "firing") for pk in ids]
    assert found["moves"] == [(pk, "firing") for pk in ids]
    assert found["events"] == [(pk, "firing") for pk in alert_ids]
    subscribers = {name for name, _ in found["deliveries"]}
    assert subscribers
    assert found["deliveries"] == sorted((name, pk) for name in subscribers for pk in alert_ids)
    assert found["due"] == [acme.id]


class TestTwoAtOnce:
    def test_the_second_returns_at_once_and_each_alert_fires_once(
        self, acme, outage, simulation, start
    ):
        first, second = start(), start()
        with history_is_held():
            first.begin(simulation.at(16))
            eventually(lambda: is_waiting(first.backend))

            second.begin(simulation.at(16))
            assert second.changes() == 0  # while the first is in mid-pass
        assert first.changes() == ROUTERS

        assert_all_have_fired_once(acme, outage)
        assert wake_ups() == 1

    def test_passes_that_race_lose_no_move_and_make_none_twice(
        self, acme, outage, simulation, start
    ):
        """A recovery and a new outage, each moment evaluated by both; what one leaves to the other is not lost."""
        evaluators = start(), start()
        values = [0.0] * 2 + [1.0] * 8 + [0.0] * 6
        moments = [20 + 5 * index for index in range(len(values))]
        for seconds, value in zip(moments, values, strict=True):
            add_samples(simulation, outage, seconds, value)
            for evaluator in evaluators:
                evaluator.begin(simulation.at(seconds + 1))
            for evaluator in evaluators:
                evaluator.changes()

        with acting_in(acme):
            moves = list(
                AlertTransition.objects.order_by("alert__entity_id", "at").values_list(
                    "alert__entity_id", "from_state", "to_state"
                )
            )
            open_alerts = Alert.objects.exclude(state="ok").values_list("entity_id", "state")
            assert sorted(open_alerts) == sorted((router.id, "firing") for router in outage)
            assert OutboxEvent.objects.count() == len(moves)
        path = [("pending", "firing"), ("firing", "recovering"), ("recovering", "ok")]
        path.append(("pending", "firing"))
        assert moves == [(pk, *step) for pk in sorted(r.id for r in outage) for step in path]


class TestAConnectionThatTheServerEnds:
    def test_leaves_nothing_and_the_next_pass_completes(self, acme, outage, simulation, start):
        before = written(acme)
        evaluator = start()
        with history_is_held():
            evaluator.begin(simulation.at(16))
            eventually(lambda: is_waiting(evaluator.backend))
            with as_owner(alias="default") as cursor:  # only its own role may end it
                cursor.execute("SELECT pg_terminate_backend(%s)", [evaluator.backend])
            assert "OperationalError" in evaluator.end()
        assert written(acme) == before
        assert wake_ups() == 0

        assert simulation.evaluate(17) == ROUTERS

        assert_all_have_fired_once(acme, outage)
        assert wake_ups() == 1

    def test_a_later_pass_reaches_the_same_state_as_one_that_was_not_ended(
        self, acme, outage, simulation, start
    ):
        evaluator = start()
        evaluator.begin(simulation.at(16))
        assert evaluator.changes() == ROUTERS

        assert simulation.evaluate(17) == 0
        with acting_in(acme):
            assert set(Alert.objects.values_list("fired_at", flat=True)) == {simulation.at(16)}
            assert {a.since - simulation.t0 for a in Alert.objects.all()} == {timedelta(0)}
