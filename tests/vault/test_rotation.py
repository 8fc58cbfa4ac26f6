"""Rotation of data keys and of the master key, step by step."""

import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.audit.models import PlatformRecord, Record
from apps.core import clock
from apps.events.models import Due
from apps.tenancy import acting_in
from apps.vault import services, tasks
from apps.vault.envelope import parse_ciphertext
from apps.vault.errors import SecretUnreadable
from apps.vault.models import CredentialSet, MasterKey, PlatformSecret, TenantKey
from apps.vault.services import rotation
from apps.vault.services.data_keys import version_of
from apps.webhooks.models import Secret
from tests.vault.keys import ACTOR, key_file, open_main_secret, store, use_master

NO_GRACE = timedelta(0)


def rotate(tenant, **options):
    return services.rotate_now(tenant_id=tenant.id, actor=ACTOR, at=clock.now(), **options)


@pytest.mark.django_db
class TestDataKey:
    def test_reseals_and_destroys_the_old_key(self, acme):
        with acting_in(acme):
            row, before = store("one"), store("two", "other")
            old = bytes(before.sealed_secret)

        version, last, retired = rotate(acme, grace=NO_GRACE)

        assert (version, last.remaining, retired) == (2, 0, [1])
        with acting_in(acme):
            row.refresh_from_db()
            assert version_of(bytes(row.sealed_secret)) == 2
            assert open_main_secret(row) == "one"
            assert bytes(TenantKey.objects.get(version=1).wrapped_key) == b""
            CredentialSet.objects.filter(pk=before.pk).update(sealed_secret=old)
            before.refresh_from_db()
            with pytest.raises(SecretUnreadable, match="retired"):
                open_main_secret(before)

    def test_reseals_every_registered_field_of_a_tenant(self, acme, actor):
        from apps.webhooks.services import create_endpoint
        from apps.webhooks.services.secrets import live_secrets

        with acting_in(acme):
            endpoint, text = create_endpoint(
                name="noc", url="https://receiver.example/", actor=actor, at=clock.now()
            )

        rotate(acme, grace=NO_GRACE)

        with acting_in(acme):
            assert version_of(bytes(Secret.objects.get().sealed)) == 2
            assert live_secrets(endpoint=endpoint, at=clock.now()) == [text]

    def test_another_tenant_is_not_touched(self, acme, globex):
        with acting_in(globex):
            row = store("globex's")
        with acting_in(acme):
            store("acme's")

        rotate(acme, grace=NO_GRACE)

        with acting_in(globex):
            row.refresh_from_db()
            assert version_of(bytes(row.sealed_secret)) == 1
            assert TenantKey.objects.count() == 1

    def test_both_versions_open_during_a_rotation(self, acme):
        with acting_in(acme):
            old = store("old", "old")
            services.begin_rotation(tenant_id=acme.id, actor=ACTOR, at=clock.now())
            new = store("new", "new")

            assert [version_of(bytes(row.sealed_secret)) for row in (old, new)] == [1, 2]
            assert (open_main_secret(old), open_main_secret(new)) == ("old", "new")

    def test_begin_is_idempotent(self, acme):
        with acting_in(acme):
            store("one")
        for _ in range(2):
            assert services.begin_rotation(tenant_id=acme.id, actor=ACTOR, at=clock.now()) == 2

        with acting_in(acme):
            assert Record.objects.filter(action="vault.rotation_begun").count() == 1

    def test_a_row_read_before_it_was_resealed_still_opens(self, acme):
        with acting_in(acme):
            row = store("one")
        rotate(acme, grace=NO_GRACE)

        with acting_in(acme):
            assert open_main_secret(row) == "one"

    def test_the_old_key_stays_for_its_grace(self, acme):
        with acting_in(acme):
            store("one")
        at = clock.now()
        services.rotate_now(tenant_id=acme.id, actor=ACTOR, at=at)
        early, late = (
            services.retire_earlier_keys(
                tenant_id=acme.id, actor=ACTOR, at=at + services.GRACE + timedelta(seconds=wait)
            )
            for wait in (-1, 1)
        )

        assert (early, late) == ([], [1])

    def test_an_unreadable_ciphertext_is_unchanged_and_keeps_its_key(self, acme):
        with acting_in(acme):
            store("good", "good")
            bad = store("bad", "bad")
            broken = bytearray(bad.sealed_secret)
            broken[-1] ^= 1
            CredentialSet.objects.filter(pk=bad.pk).update(sealed_secret=bytes(broken))

        _, last, retired = rotate(acme, grace=NO_GRACE)

        assert (last.unreadable, last.remaining, retired) == (1, 1, [])
        assert services.vault_state(acme.id, open_all=True).unreadable == 1
        with acting_in(acme):
            bad.refresh_from_db()
            assert bytes(bad.sealed_secret) == bytes(broken)

    def test_reseals_an_old_ciphertext_that_was_saved_again(self, acme):
        with acting_in(acme):
            row = store("one")
            stale = bytes(row.sealed_secret)
        services.begin_rotation(tenant_id=acme.id, actor=ACTOR, at=clock.now())
        services.sweep(tenant_id=acme.id)
        with acting_in(acme):  # somebody saved the whole row as it was before
            CredentialSet.objects.filter(pk=row.pk).update(sealed_secret=stale)

        rotate(acme, grace=NO_GRACE)

        with acting_in(acme):
            row.refresh_from_db()
            assert (version_of(bytes(row.sealed_secret)), open_main_secret(row)) == (2, "one")

    def test_finishes_in_the_background(self, acme, monkeypatch):
        with acting_in(acme):
            row = store("one")
        services.start_rotation(tenant_id=acme.id, actor=ACTOR, at=clock.now())
        assert Due.objects.filter(kind=rotation.RESEAL).count() == 1

        tasks.reseal(tenant_id=str(acme.id))
        assert Due.objects.filter(kind=rotation.RESEAL).count() == 1
        later = clock.now() + timedelta(hours=1)
        monkeypatch.setattr(clock, "now", lambda: later)
        tasks.reseal(tenant_id=str(acme.id))

        assert not Due.objects.filter(kind=rotation.RESEAL).exists()
        with acting_in(acme):
            row.refresh_from_db()
            assert version_of(bytes(row.sealed_secret)) == 2
            assert TenantKey.objects.filter(retired_at=None).count() == 1

    def test_rotates_the_installations_own_secrets(self, db):
        services.store_platform_secret(name="ca", plaintext=b"the CA", at=clock.now())

        version, _, retired = services.rotate_now(
            tenant_id=None, actor=ACTOR, at=clock.now(), grace=NO_GRACE
        )

        assert (version, retired) == (2, [1])
        assert services.platform_secret("ca") == b"the CA"
        assert PlatformRecord.objects.filter(action="vault.rotation_finished").count() == 1

    def test_an_emptied_platform_secret_may_be_stored_again(self, db):
        services.store_platform_secret(name="ca", plaintext=b"one", at=clock.now())
        PlatformSecret.objects.filter(name="ca").update(sealed_value=b"")

        assert services.platform_secret("ca") is None
        services.rotate_now(tenant_id=None, actor=ACTOR, at=clock.now(), grace=NO_GRACE)
        assert services.store_platform_secret(name="ca", plaintext=b"two", at=clock.now()) == b"two"

    def test_the_first_writer_of_a_platform_secret_wins(self, db):
        first = services.store_platform_secret(name="ca", plaintext=b"one", at=clock.now())
        again = services.store_platform_secret(name="ca", plaintext=b"two", at=clock.now())

        assert (first, again) == (b"one", b"one")
        assert services.platform_secret("ca") == b"one"
        assert b"one" not in bytes(PlatformSecret.objects.get(name="ca").sealed_value)


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_a_key_is_not_retired_during_a_transaction_that_seals_with_it(self, acme):
        """The writer took version 1 before the rotation began, and commits after everything was swept."""
        with acting_in(acme):
            store("first", "first")
        sealed, may_commit = threading.Event(), threading.Event()

        def write() -> None:
            with acting_in(acme):
                store("late", "late")
                sealed.set()
                may_commit.wait(300)
            connection.close()

        retired: list[list[int]] = []

        def finish() -> None:
            rotate(acme, grace=NO_GRACE)
            retired.append(
                services.retire_earlier_keys(
                    tenant_id=acme.id, actor=ACTOR, at=clock.now(), grace=NO_GRACE
                )
            )
            connection.close()

        writer = threading.Thread(target=write)
        writer.start()
        assert sealed.wait(300)
        finisher = threading.Thread(target=finish)
        finisher.start()
        finisher.join(1.0)
        assert finisher.is_alive(), "it must wait for the writer"
        may_commit.set()
        writer.join()
        finisher.join()

        with acting_in(acme):
            row = CredentialSet.objects.get(name="late")
            assert open_main_secret(row) == "late"
        rotate(acme, grace=NO_GRACE)
        with acting_in(acme):
            row.refresh_from_db()
            assert open_main_secret(row) == "late"

    def test_concurrent_first_secrets_create_one_key(self, acme):
        errors: list[BaseException] = []

        def write(number: int) -> None:
            try:
                with acting_in(acme):
                    store(f"secret {number}", f"set {number}")
            except BaseException as error:
                errors.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=write, args=[n]) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert errors == []
        with acting_in(acme):
            assert TenantKey.objects.count() == 1
            for row in CredentialSet.objects.all():
                assert open_main_secret(row) == f"secret {row.name.removeprefix('set ')}"


@pytest.mark.django_db
class TestMasterKey:
    @pytest.fixture
    def new_master(self, settings, tmp_path, acme, globex):
        """Two tenants with secrets, and a process that was restarted with a new key beside the old one."""
        for tenant in (acme, globex):
            with acting_in(tenant):
                store(tenant.slug)
        services.store_platform_secret(name="ca", plaintext=b"the CA", at=clock.now())
        new = key_file(tmp_path, "new", "cd" * 32)
        use_master(settings, new, settings.ISPVM_MASTER_KEY_FILE)
        return new

    def test_rewraps_every_data_key_and_retires_the_old_master_key(
        self, new_master, settings, acme, globex
    ):
        with acting_in(acme):
            before = bytes(CredentialSet.objects.get().sealed_secret)

        result = services.rotate_master_key(actor=ACTOR, at=clock.now())
        use_master(settings, new_master)

        assert (result.rewrapped_count, len(result.retired_key_ids)) == (3, 1)
        services.check_master_key()
        assert services.platform_secret("ca") == b"the CA"
        for tenant in (acme, globex):
            with acting_in(tenant):
                assert open_main_secret(CredentialSet.objects.get()) == tenant.slug
                assert Record.objects.filter(action="vault.data_keys_wrapped").count() == 1
        with acting_in(acme):  # O(tenants): secrets are not touched
            assert bytes(CredentialSet.objects.get().sealed_secret) == before

    def test_is_idempotent(self, new_master):
        services.rotate_master_key(actor=ACTOR, at=clock.now())
        result = services.rotate_master_key(actor=ACTOR, at=clock.now())

        assert (result.rewrapped_count, result.retired_key_ids) == (0, ())
        assert PlatformRecord.objects.filter(action="vault.master_key_rotated").count() == 1

    def test_resumes_after_a_crash(self, new_master, monkeypatch, acme, globex):
        from apps.vault.services import master_rotation

        real = master_rotation.rewrap
        calls = iter(range(10))

        def crash(row, scope):
            if next(calls) == 2:
                raise KeyboardInterrupt
            real(row, scope)

        monkeypatch.setattr(master_rotation, "rewrap", crash)
        with pytest.raises(KeyboardInterrupt):
            services.rotate_master_key(actor=ACTOR, at=clock.now())
        assert MasterKey.objects.filter(retired_at=None).count() == 2
        monkeypatch.undo()

        result = services.rotate_master_key(actor=ACTOR, at=clock.now())

        assert result.rewrapped_count == 1
        assert MasterKey.objects.filter(retired_at=None).count() == 1

    def test_a_data_key_bound_to_one_tenant_does_not_open_in_another(self, acme, globex):
        with acting_in(acme):
            store("acme's")
            stolen = bytes(TenantKey.objects.get().wrapped_key)
        with acting_in(globex):
            row = store("globex's")
            TenantKey.objects.update(wrapped_key=stolen)
            with pytest.raises(SecretUnreadable):
                open_main_secret(row)


@pytest.mark.django_db
class TestCommands:
    def test_rotates_both_keys_and_shows_the_status(self, settings, tmp_path, acme, capsys):
        with acting_in(acme):
            store("secret-canary-1")
        call_command("vault_rotate_tenant", "acme", "--grace", "0")
        use_master(settings, key_file(tmp_path, "new", "cd" * 32), settings.ISPVM_MASTER_KEY_FILE)
        call_command("vault_rotate_master")
        call_command("vault_status", "--verify")

        output = capsys.readouterr().out
        assert "acme: key 2 seals now; 1 secrets re-sealed; retired: 1." in output
        assert "is retired." in output
        assert "tenant acme: 1 secrets, all opened; key 2 (master" in output
        assert "secret-canary-1" not in output

    def test_status_fails_when_something_cannot_be_open_main_secret(self, acme):
        with acting_in(acme):
            row = store("one")
            sealed = bytes(row.sealed_secret)
            CredentialSet.objects.update(sealed_secret=sealed[:-1] + bytes([sealed[-1] ^ 1]))

        with pytest.raises(CommandError, match="1 secrets cannot be opened"):
            call_command("vault_status", "--verify")

    def test_reports_an_unknown_tenant(self, db):
        with pytest.raises(CommandError, match="no tenant 'nobody'"):
            call_command("vault_rotate_tenant", "nobody")

    def test_all_and_in_the_background(self, acme, globex, capsys):
        for tenant in (acme, globex):
            with acting_in(tenant):
                store("one")

        call_command("vault_rotate_tenant", "--all", "--in-background")

        assert Due.objects.filter(kind=rotation.RESEAL).count() == 2
        assert "globex: key 2 seals now; workers re-seal." in capsys.readouterr().out

    def test_a_wrong_master_key_stops_every_command(self, settings, tmp_path, acme):
        services.check_master_key()
        use_master(settings, key_file(tmp_path, "other", "ef" * 32))

        for command in (["vault_status"], ["vault_rotate_master"], ["vault_rotate_tenant", "acme"]):
            with pytest.raises(CommandError, match="not the key"):
                call_command(*command)


def test_the_key_id_of_a_ciphertext_is_the_version(in_acme):
    row = store("one")

    assert parse_ciphertext(bytes(row.sealed_secret)).key_id == (1).to_bytes(8, "big")
