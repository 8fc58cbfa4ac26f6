"""The master key file: every fault stops the start with a one-sentence error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.core import clock
from apps.vault import services
from apps.vault.envelope import encode_associated_data, seal
from apps.vault.errors import MasterKeyInvalid, MasterKeyRetired
from apps.vault.keyring import read_keyring, read_keys
from apps.vault.models import MasterKey, PlatformSecret
from apps.vault.services import master_keys
from tests.database import url_of_this_test
from tests.vault.keys import ACTOR, key_file, open_main_secret, store, use_master

PROJECT = Path(__file__).parents[2]
ONE, OTHER = "ab" * 32, "cd" * 32


class TestReading:
    @pytest.mark.parametrize("text", ["", "00" * 31, "zz" * 32, "00" * 33, "\x00" * 64, "0"])
    def test_a_wrong_or_short_file_is_refused_with_a_message(self, tmp_path, text):
        with pytest.raises(MasterKeyInvalid, match="backup"):
            read_keys(key_file(tmp_path, "key", text))

    def test_the_message_shows_no_part_of_the_key(self, tmp_path):
        with pytest.raises(MasterKeyInvalid) as refused:
            read_keys(key_file(tmp_path, "key", ONE[:-2] + "zz"))

        assert ONE[:8] not in str(refused.value)
        assert ONE[:8] not in str(refused.value.__cause__)

    @pytest.mark.parametrize("mode", [0o404, 0o444, 0o644, 0o602, 0o420, 0o777])
    def test_a_file_readable_by_others_is_refused_with_the_command_to_fix_it(self, tmp_path, mode):
        path = key_file(tmp_path, "key", ONE, mode)

        with pytest.raises(MasterKeyInvalid, match=f"chmod 0400 {path}"):
            read_keys(path)

    @pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
    def test_its_owner_and_its_group_may_read(self, tmp_path, mode):
        assert len(read_keys(key_file(tmp_path, "key", ONE + "\n", mode))) == 1

    def test_a_missing_file_and_a_folder_are_refused_with_a_message(self, tmp_path):
        for path in (tmp_path / "gone", tmp_path):
            with pytest.raises(MasterKeyInvalid, match="cannot be read"):
                read_keys(str(path))

    def test_the_first_key_of_a_file_seals_and_the_others_open(self, tmp_path):
        path = key_file(tmp_path, "key", f"{ONE}\n{OTHER}\n")
        third = key_file(tmp_path, "third", f"{OTHER}\n{'ef' * 32}\n")

        keyring = read_keyring(path=path, text="", previous_path=third)

        assert keyring.current.secret.hex() == ONE
        assert [key.secret.hex() for key in keyring.previous] == [OTHER, "ef" * 32]

    def test_a_systemd_credential_is_a_file_like_any_other(self, tmp_path):
        folder = tmp_path / "credentials"  # as systemd lays it out: a folder of one unit, read-only
        folder.mkdir()
        path = key_file(folder, "master_key", ONE, 0o440)
        folder.chmod(0o550)

        keyring = read_keyring(path=path, text="", previous_path="")

        assert keyring.current.secret == bytes.fromhex(ONE)

    def test_the_variable_is_accepted_and_known_as_such(self):
        keyring = read_keyring(path="", text=f" {ONE}\n", previous_path="")

        assert (keyring.current.secret, keyring.is_in_environment) == (bytes.fromhex(ONE), True)

    def test_a_bad_variable_is_refused_without_showing_it(self):
        with pytest.raises(MasterKeyInvalid) as refused:
            read_keyring(path="", text=ONE[2:], previous_path="")

        assert "ISPVM_MASTER_KEY" in str(refused.value)
        assert ONE[:8] not in str(refused.value)


@pytest.mark.django_db
class TestChecking:
    def test_the_first_start_stores_a_check_value_and_the_next_verifies_it(self):
        services.check_master_key()
        services.check_master_key()

        assert MasterKey.objects.count() == 1

    def test_another_installations_key_is_refused(self, settings, tmp_path):
        services.check_master_key()
        use_master(settings, key_file(tmp_path, "other", OTHER))

        with pytest.raises(MasterKeyInvalid, match="not the key"):
            services.check_master_key()

        assert MasterKey.objects.count() == 1

    def test_a_new_key_is_accepted_together_with_the_old_one(self, settings, tmp_path):
        old = settings.ISPVM_MASTER_KEY_FILE
        services.check_master_key()
        use_master(settings, key_file(tmp_path, "new", OTHER), old)

        services.check_master_key()

        assert MasterKey.objects.filter(retired_at=None).count() == 2

    def test_without_the_old_key_an_unfinished_rotation_is_reported(self, settings, tmp_path):
        old, new = settings.ISPVM_MASTER_KEY_FILE, key_file(tmp_path, "new", OTHER)
        services.check_master_key()
        use_master(settings, new, old)
        services.check_master_key()
        for only in (old, new):
            use_master(settings, only)
            with pytest.raises(MasterKeyInvalid, match="rotation is not finished"):
                services.check_master_key()

    def test_a_key_that_was_rotated_away_is_refused(self, settings, tmp_path):
        old, new = settings.ISPVM_MASTER_KEY_FILE, key_file(tmp_path, "new", OTHER)
        services.check_master_key()
        use_master(settings, new, old)
        services.rotate_master_key(actor=ACTOR, at=clock.now())
        use_master(settings, old, new)

        with pytest.raises(MasterKeyInvalid, match="rotated away"):
            services.check_master_key()

    def test_a_process_that_still_has_only_the_old_key_seals_nothing(
        self, settings, tmp_path, acme
    ):
        old, new = settings.ISPVM_MASTER_KEY_FILE, key_file(tmp_path, "new", OTHER)
        services.check_master_key()
        use_master(settings, new, old)
        services.rotate_master_key(actor=ACTOR, at=clock.now())
        use_master(settings, old)

        from apps.tenancy import acting_in

        with acting_in(acme), pytest.raises(MasterKeyRetired, match="restart"):
            store("a tenant's first secret")

    def test_a_changed_check_value_is_refused(self):
        services.check_master_key()
        MasterKey.objects.update(check_value=b"\x02" + bytes(60))

        with pytest.raises(MasterKeyInvalid, match="check value"):
            services.check_master_key()

    @pytest.mark.parametrize("name", [master_keys.LEGACY_CHECK_NAME, "agents-ca-key"])
    def test_an_old_database_identifies_its_key_by_its_ciphertexts(self, settings, tmp_path, name):
        PlatformSecret.objects.create(
            name=name,
            created_at=clock.now(),
            sealed_value=first_format(ONE, b"x", "platform", name),
        )
        use_master(settings, key_file(tmp_path, "other", OTHER))
        with pytest.raises(MasterKeyInvalid, match="not the key"):
            services.check_master_key()
        use_master(settings, key_file(tmp_path, "right", ONE))

        services.check_master_key()

        assert MasterKey.objects.get().key_id == services.keyring().current.label

    def test_an_old_database_identifies_its_key_by_a_tenants_key_alone(
        self, settings, tmp_path, in_acme
    ):
        from apps.vault.models import TenantKey

        wrapped_key = first_format(ONE, bytes(32), "tenant-key", str(in_acme.id))
        TenantKey.objects.create(wrapped_key=wrapped_key, created_at=clock.now())
        use_master(settings, key_file(tmp_path, "other", OTHER))
        with pytest.raises(MasterKeyInvalid, match="not the key"):
            services.check_master_key()
        use_master(settings, key_file(tmp_path, "right", ONE))

        services.check_master_key()


def first_format(key: str, plain: bytes, *parts: str) -> bytes:
    """Sealed in the first format, without a key id."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(12)
    return (
        b"\x01"
        + nonce
        + AESGCM(bytes.fromhex(key)).encrypt(nonce, plain, b"\x01" + encode_associated_data(*parts))
    )


@pytest.mark.django_db
class TestOldDatabase:
    """A database with secrets in the first format: everything opens and a rotation re-seals it."""

    def test_opens_and_rotates(self, settings, tmp_path, in_acme):
        from apps.vault.models import TenantKey

        use_master(settings, key_file(tmp_path, "key", ONE))
        data_key = os.urandom(32)
        TenantKey.objects.create(
            wrapped_key=first_format(ONE, data_key, "tenant-key", str(in_acme.id)),
            created_at=clock.now(),
        )
        PlatformSecret.objects.create(
            name="agents-ca-key",
            created_at=clock.now(),
            sealed_value=first_format(ONE, b"the CA", "platform", "agents-ca-key"),
        )
        row = store("x")
        old = first_format(
            data_key.hex(),
            b"old password",
            str(in_acme.id),
            "vault_credentialset",
            str(row.id),
            "secret",
        )
        type(row).objects.filter(pk=row.pk).update(sealed_secret=old)
        row.refresh_from_db()
        assert open_main_secret(row) == "old password"
        assert services.platform_secret("agents-ca-key") == b"the CA"

        use_master(settings, key_file(tmp_path, "new", OTHER), key_file(tmp_path, "key", ONE))
        result = services.rotate_master_key(actor=ACTOR, at=clock.now())
        use_master(settings, key_file(tmp_path, "new", OTHER))

        assert result.rewrapped_count == 1
        assert open_main_secret(row) == "old password"
        assert services.platform_secret("agents-ca-key") == b"the CA"
        assert not bytes(PlatformSecret.objects.get(name="agents-ca-key").sealed_value).startswith(
            b"\x01"
        )


def gunicorn(config: str, application: str) -> list[str]:
    config = f"python:ispvm.deploy.{config}"
    return ["-m", "gunicorn", "-c", config, "--bind", "127.0.0.1:0", f"ispvm.{application}"]


COMMANDS = {
    "web": gunicorn("gunicorn_web", "wsgi:application"),
    # Without TLS files: it fails before it needs them.
    "ingest": gunicorn("gunicorn_group", "ingest_wsgi:application"),
    "worker": ["-m", "celery", "-A", "ispvm", "worker", "-Q", "none", "--concurrency", "1"],
    "beat": ["manage.py", "beat"],
    "keeper": ["manage.py", "keeper"],
    "ingest_certificate": [
        "manage.py",
        "ingest_certificate",
        "--out",
        "/dev/null/x",
        "--host",
        "127.0.0.1",
    ],
}


def is_gunicorn_frame(row: str) -> bool:
    """A traceback line of gunicorn itself, started with ``python -m``."""
    return "/gunicorn/" in row or "<frozen runpy>" in row


def process(kind: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    if kind == "ingest":  # otherwise it fails for the CA key file first
        environment = {k: v for k, v in environment.items() if k != "ISPVM_CA_KEY_FILE"}
    return subprocess.run(
        [sys.executable, *COMMANDS[kind]],
        check=False,
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
    )


@pytest.fixture
def environment(transactional_db, tmp_path) -> dict[str, str]:
    """A process's environment with the database of this test."""
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "PROMETHEUS_"))
    }
    return {**inherited, "DATABASE_URL": url_of_this_test(), "ISPVM_HOME": str(tmp_path)}


FAULTS = {
    "wrong": "not the key that this database was sealed with",
    "missing": "cannot be read (No such file or directory)",
    "short": "holds 31 bytes, 32 are needed",
    "open to all": "chmod 0400",
}


def faulty(folder: Path, fault: str) -> str:
    texts = {"wrong": (OTHER, 0o400), "short": (ONE[2:], 0o400), "open to all": (ONE, 0o644)}
    return key_file(folder, "key", *texts[fault]) if fault in texts else str(folder / "gone")


@pytest.mark.real
class TestProcesses:
    """Real processes: none starts, each prints a one-sentence error and no traceback."""

    def refuses(self, kind: str, fault: str, environment: dict[str, str], tmp_path: Path) -> None:
        services.check_master_key()
        path = faulty(tmp_path, fault)

        result = process(kind, {**environment, "ISPVM_MASTER_KEY_FILE": path})

        text = result.stdout + result.stderr
        assert result.returncode not in {0, -9}, text[-3000:]
        assert FAULTS[fault] in text
        # gunicorn's master prints its own traceback when two workers fail at the same moment.
        assert [
            row for row in text.splitlines() if 'File "' in row and not is_gunicorn_frame(row)
        ] == []
        assert "Serving" not in text

    def test_web_with_the_wrong_key(self, environment, tmp_path):
        self.refuses("web", "wrong", environment, tmp_path)

    def test_a_worker_with_no_key_file(self, environment, tmp_path):
        self.refuses("worker", "missing", environment, tmp_path)

    @pytest.mark.long
    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("kind", COMMANDS)
    def test_every_process_with_every_fault(self, environment, tmp_path, kind, fault):
        self.refuses(kind, fault, environment, tmp_path)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process as somebody else")
    def test_a_file_that_this_account_may_not_read_is_refused(self, tmp_path):
        path = key_file(tmp_path, "key", ONE)
        folder = tmp_path
        while folder != folder.parent:  # pytest's folders are accessible only to their owner
            if folder.stat().st_mode & 0o005 != 0o005:
                folder.chmod(folder.stat().st_mode | 0o005)
            folder = folder.parent
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            try:
                read_keys(path)
            except MasterKeyInvalid as refusal:
                os._exit(0 if "Permission denied" in str(refusal) else 2)
            os._exit(1)

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_seal_refuses_a_key_without_an_id():
    with pytest.raises(ValueError, match="8 bytes"):
        seal(bytes(32), b"", b"x", b"")
