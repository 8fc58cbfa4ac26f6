"""A restored database begins a new epoch: receivers apply what follows, although its sequences repeat."""

import io
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import ProgrammingError, connection, connections

from apps.audit.models import PlatformRecord
from apps.delivery.models import Delivery
from apps.events.installation import current_epoch, record_restore
from apps.events.models import OutboxEvent
from apps.incidents.changes import UPDATED
from apps.incidents.models import Incident
from apps.incidents.services.publishing import publish
from apps.tenancy import acting_in
from apps.webhooks.receiver.journal import Journal
from apps.webhooks.receiver.verifier import Verification
from ispvm.supervisor.programs import find_postgres
from tests import database
from tests.accounts.rows import incident as make_incident
from tests.canaries.search import dump_database
from tests.clients import bearer
from tests.webhooks.conftest import emit_incident
from tests.webhooks.samples import incident as snapshot

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])
PROGRAMS = find_postgres(os.environ.get("ISPVM_POSTGRES"), [])
PSQL = Path(PROGRAMS.bin) / "psql"


def copy_by_template(source: str, copy: str) -> None:
    connections.close_all()
    with database.as_owner() as cursor:
        cursor.execute(f"CREATE DATABASE {copy} TEMPLATE {source}")


def copy_by_dump(source: str, copy: str) -> None:
    """As an operator does it: pg_dump by the role for backups, psql as the owner."""
    dump = dump_database(os.environ["DATABASE_BACKUP_URL"], source)
    with database.as_owner() as cursor:
        cursor.execute(f"CREATE DATABASE {copy}")
    parts = urlsplit(os.environ["DATABASE_OWNER_URL"])
    subprocess.run(
        [
            str(PSQL), "--quiet", "--no-psqlrc", "--dbname", copy, "--host", str(parts.hostname),
            "--port", str(parts.port), "--username", str(parts.username),
        ],
        input=dump,
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PGPASSWORD": unquote(parts.password or "")},
    )  # fmt: skip


# A copy by template needs a database without other connections, and an earlier test may have left one:
# it is used only where psql is not installed beside PostgreSQL's programs.
COPY_METHODS = {"dump": copy_by_dump} if PSQL.exists() else {"template": copy_by_template}


@pytest.fixture(params=sorted(COPY_METHODS))
def copy_database(request):
    """Copy the test's database now, to be restored later."""
    live, copy = settings.DATABASES["default"]["NAME"], f"restored_{os.getpid()}"

    @contextmanager
    def restored() -> Iterator[None]:
        database.use_database(copy)
        try:
            yield
        finally:
            database.use_database(live)

    def copy_now():
        COPY_METHODS[request.param](live, copy)
        return restored

    yield copy_now
    database.use_database(live)
    database.drop(copy)


def publish_changes(tenant, pk, number: int) -> list[dict]:
    """Publish ``number`` changes of an incident; returns the payloads of its events."""
    with acting_in(tenant):
        for _ in range(number):
            publish(UPDATED, Incident.objects.select_for_update().get(pk=pk))
        rows = OutboxEvent.objects.filter(key=str(pk)).order_by("created_at", "id")
        return sorted(
            (row.payload for row in rows),
            key=lambda payload: (payload["epoch"], payload["sequence"]),
        )


class Receiver:
    """The shipped receiver's journal with its log file."""

    def __init__(self, path: Path) -> None:
        self.path, self.out = path, io.StringIO()
        self.journal = Journal(path, self.out, color=False)

    def receive(self, event_id: str, incident: dict) -> bool:
        event = {"event_id": event_id, "event_type": "incident.updated", "incident": incident}
        self.journal.write(
            at=0.0,
            headers={"webhook-id": event_id, "x-ispvm-event-type": "incident.updated"},
            body=json.dumps(event).encode(),
            verification=Verification(verified=True, reason="", event=event),
            status=204,
        )
        return json.loads(self.path.read_text().splitlines()[-1])["applied"]


@pytest.fixture
def receiver(tmp_path) -> Iterator[Receiver]:
    journal_receiver = Receiver(tmp_path / "log")
    yield journal_receiver
    journal_receiver.journal.close()


def test_a_receiver_applies_events_after_a_restore(acme, copy_database, receiver):
    with acting_in(acme):
        pk = make_incident()
    publish_changes(acme, pk, 4)
    restored = copy_database()
    live = publish_changes(acme, pk, 16)
    assert [(payload["epoch"], payload["sequence"]) for payload in live[-1:]] == [(0, 20)]
    assert receiver.receive("live-20", live[-1])

    with restored():
        assert Incident.objects.count() == 0, "row-level security was restored too"
        after = publish_changes(acme, pk, 1)[-1]
        later = publish_changes(acme, pk, 1)[-1]

    assert after["sequence"] == 5
    assert after["epoch"] > 0
    assert (after["epoch"], 5) < (later["epoch"], later["sequence"])
    assert receiver.receive("restored-5", after)
    assert receiver.receive("restored-6", later)
    assert not receiver.receive("live-19", live[-2])
    assert "(older, dropped)" in receiver.out.getvalue()


def test_the_keeper_records_it_once_and_a_restored_older_dump_gets_a_greater_epoch(
    acme, copy_database
):
    restored = copy_database()

    with restored():
        call_command("keeper", "--once", stdout=io.StringIO())
        first = current_epoch()
        assert record_restore(using="owner") is None
        assert current_epoch() == first > 1_000_000_000
        with connection.cursor() as cursor, pytest.raises(ProgrammingError):
            cursor.execute("UPDATE events_installation SET epoch = 0")
        # Restored again from a dump of epoch 0: a counter would repeat, the time does not.
        with database.as_owner(settings.DATABASES["default"]["NAME"]) as owner:
            owner.execute("UPDATE events_installation SET epoch = 0, fingerprint = 'elsewhere'")
        assert current_epoch() >= first


def test_an_operator_can_record_a_restore_that_leaves_no_trace(acme):
    before = current_epoch()
    out = io.StringIO()

    call_command("restored", "--note", "pg_restore --clean of Sunday's dump", stdout=out)

    try:
        assert current_epoch() > before == 0
        assert f"epoch {current_epoch()}" in out.getvalue()
        row = PlatformRecord.objects.get(action="installation.restored")
        assert row.detail["note"] == "pg_restore --clean of Sunday's dump"
        again = current_epoch()
        call_command("restored", stdout=out)
        assert current_epoch() > again
    finally:
        with database.as_owner(settings.DATABASES["default"]["NAME"]) as owner:
            owner.execute("UPDATE events_installation SET epoch = 0")


def test_rest_shows_the_epoch(acme, acme_admin, make_endpoint):
    make_endpoint("http://127.0.0.1:9/")
    emit_incident(acme, epoch=7, sequence=3)
    with acting_in(acme):
        pk = make_incident()
        Incident.objects.update(epoch=9)
        delivery = Delivery.objects.get()
    admin = bearer(acme, acme_admin)

    assert admin.get(f"/api/v1/webhook-deliveries/{delivery.pk}/").json()["epoch"] == 7
    assert admin.get(f"/api/v1/incidents/{pk}/").json()["epoch"] == 9
    assert json.loads(bytes(delivery.body))["incident"]["epoch"] == 7


class TestShippedReceiver:
    def test_orders_by_epoch_and_sequence_with_a_missing_epoch_as_0(self, receiver):
        def receive(number: int, **order: int) -> bool:
            payload = snapshot(**order)
            return receiver.receive(f"e{number}", payload)

        assert [
            receive(1, sequence=2),
            receive(2, sequence=1),
            receive(3, epoch=0, sequence=2),
            receive(4, epoch=0, sequence=3),
            receive(5, epoch=1, sequence=1),
            receive(6, sequence=9),
            receive(7, epoch=1, sequence=1),
            receive(8, epoch=1, sequence=2),
            receive(8, epoch=1, sequence=3),
        ] == [True, False, False, True, True, False, False, True, False]

    def test_remembers_applied_events_after_a_restart(self, receiver):
        assert receiver.receive("e1", snapshot(epoch=1, sequence=5))
        again = Receiver(receiver.path)

        assert not again.receive("e2", snapshot(epoch=0, sequence=20))
        assert again.receive("e3", snapshot(epoch=1, sequence=6))
        again.journal.close()
