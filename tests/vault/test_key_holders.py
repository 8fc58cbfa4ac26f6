"""A master key is not rotated while a running process lacks the new one; the error lists those processes."""

import os
import signal
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from apps.core import clock
from apps.events.models import RunningProcess
from apps.tenancy import acting_in
from apps.vault import services
from apps.vault.models import MasterKey
from apps.vault.services.key_holders import MASTER_KEYS_FACT, read_key_ids
from ispvm.supervisor.paths import PROJECT
from tests.database import url_of_this_test
from tests.supervisor.waiting import eventually
from tests.vault.keys import ACTOR, key_file, store, use_master

NEW = "cd" * 32


def process(kind: str, seals: str, opens: tuple[str, ...] = ()) -> RunningProcess:
    now = clock.now()
    return RunningProcess.objects.create(
        kind=kind,
        host="noc1",
        pid=4711,
        started_at=now,
        seen_at=now,
        facts={MASTER_KEYS_FACT: {"seals": seals, "opens": list(opens)}},
    )


@pytest.fixture
def rotation(settings, tmp_path, acme):
    """This process has the new key first and the old one second; returns the ids of both, old first."""
    with acting_in(acme):
        store("secret")
    old = services.keyring().current.label
    use_master(settings, key_file(tmp_path, "new", NEW), settings.ISPVM_MASTER_KEY_FILE)
    return old, services.keyring().current.label


def rotate(**options):
    return services.rotate_master_key(actor=ACTOR, at=clock.now(), **options)


@pytest.mark.django_db
class TestRefusal:
    def test_names_the_processes_without_the_key_and_rotates_nothing(self, rotation):
        old, new = rotation
        process("worker", seals=old)
        process("web", seals=new, opens=(old,))

        with pytest.raises(services.MasterKeyNotEverywhere) as refused:
            rotate()

        assert "worker on noc1 (pid 4711) lacks it" in str(refused.value)
        assert "web on" not in str(refused.value)
        assert MasterKey.objects.filter(retired_at=None).count() == 2
        assert services.vault_state(None).keys == () or all(
            key.master_key == old for key in services.vault_state(None).keys
        )

    def test_a_process_that_only_opens_with_it_could_not_seal_afterwards(self, rotation):
        old, new = rotation
        process("ingest", seals=old, opens=(new,))

        with pytest.raises(services.MasterKeyNotEverywhere, match=r"ingest on noc1 .* only opens"):
            rotate()

    def test_rotates_when_every_process_has_the_key(self, rotation):
        old, new = rotation
        process("web", seals=new, opens=(old,))

        assert len(rotate().retired_key_ids) == 1

    def test_a_process_started_meanwhile_with_the_old_key_keeps_it_live(self, rotation):
        old, _ = rotation

        with pytest.raises(services.MasterKeyNotEverywhere):
            rotate(progress=lambda *_: process("worker", seals=old))

        assert MasterKey.objects.filter(retired_at=None).count() == 2

    def test_a_process_without_a_master_key_does_not_block(self, rotation):
        row = process("signer", seals="")
        RunningProcess.objects.filter(pk=row.pk).update(facts={MASTER_KEYS_FACT: None})

        assert len(rotate().retired_key_ids) == 1

    def test_the_command_fails_and_force_continues(self, rotation, capsys):
        old, _ = rotation
        process("beat", seals=old)

        with pytest.raises(CommandError, match=r"beat on noc1 \(pid 4711\) lacks it"):
            call_command("vault_rotate_master")
        call_command("vault_rotate_master", "--force")

        assert "is retired." in capsys.readouterr().out


@pytest.mark.django_db
def test_published_key_ids_do_not_reveal_the_keys(settings, tmp_path):
    use_master(settings, key_file(tmp_path, "new", NEW), settings.ISPVM_MASTER_KEY_FILE)

    published = read_key_ids()

    assert published == {
        "seals": services.keyring().current.label,
        "opens": [services.keyring().previous[0].label],
    }
    assert NEW not in str(published)


@pytest.mark.real
@pytest.mark.django_db(transaction=True)
def test_a_real_process_with_the_old_key_is_listed_until_it_exits(rotation, settings, tmp_path):
    old = settings.ISPVM_MASTER_KEY_PREVIOUS_FILE
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "PROMETHEUS_"))
    }
    environment = {
        **inherited,
        "DATABASE_URL": url_of_this_test(),
        "ISPVM_HOME": str(tmp_path),
        "ISPVM_MASTER_KEY_FILE": old,
    }
    beat = subprocess.Popen([sys.executable, "manage.py", "beat"], cwd=PROJECT, env=environment)
    try:
        eventually(RunningProcess.objects.exists, seconds=120)
        with pytest.raises(
            services.MasterKeyNotEverywhere, match=rf"beat on .* \(pid {beat.pid}\)"
        ):
            rotate()
    finally:
        beat.send_signal(signal.SIGTERM)
        beat.wait(60)

    assert not RunningProcess.objects.exists()
    assert len(rotate().retired_key_ids) == 1
