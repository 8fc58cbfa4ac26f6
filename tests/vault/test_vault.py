import pytest

from apps.accounts.actors import Actor
from apps.core import clock
from apps.tenancy import acting_in
from apps.vault import services
from apps.vault.envelope import place, read_master_key, seal, unseal
from apps.vault.errors import MasterKeyInvalid, SecretUnreadable
from apps.vault.models import CredentialSet, PlatformSecret

KEY = bytes(range(32))
WHERE = place("tenant", "table", "row", "field")


class TestEnvelope:
    def test_opens_what_it_sealed(self):
        assert unseal(KEY, seal(KEY, b"secret", WHERE), WHERE) == b"secret"

    def test_refuses_any_flipped_byte(self):
        sealed = seal(KEY, b"secret", WHERE)

        for index in range(len(sealed)):
            broken = bytearray(sealed)
            broken[index] ^= 1
            with pytest.raises(SecretUnreadable):
                unseal(KEY, bytes(broken), WHERE)

    @pytest.mark.parametrize("length", [0, 1, 12, 28])
    def test_refuses_a_cut_ciphertext(self, length):
        with pytest.raises(SecretUnreadable):
            unseal(KEY, seal(KEY, b"secret", WHERE)[:length], WHERE)

    @pytest.mark.parametrize(
        "elsewhere",
        [
            place("other", "table", "row", "field"),
            place("tenant", "other", "row", "field"),
            place("tenant", "table", "other", "field"),
            place("tenant", "table", "row", "other"),
            place("tenant", "tabler", "ow", "field"),
        ],
    )
    def test_refuses_to_open_elsewhere(self, elsewhere):
        with pytest.raises(SecretUnreadable):
            unseal(KEY, seal(KEY, b"secret", WHERE), elsewhere)


class TestMasterKey:
    @pytest.mark.parametrize("text", ["", "00" * 31, "zz" * 32, "00" * 33])
    def test_a_wrong_or_short_key_file_is_refused_in_words(self, tmp_path, text):
        path = tmp_path / "key"
        path.write_text(text)

        with pytest.raises(MasterKeyInvalid, match="backup"):
            read_master_key(str(path))

    def test_a_missing_key_file_is_refused_in_words(self, tmp_path):
        with pytest.raises(MasterKeyInvalid, match="cannot be read"):
            read_master_key(str(tmp_path / "gone"))

    @pytest.mark.django_db
    def test_another_installations_key_is_refused(self, settings, tmp_path):
        services.check_master_key()
        other = tmp_path / "other"
        other.write_text("ab" * 32)
        settings.ISPVM_MASTER_KEY_FILE = str(other)

        with pytest.raises(MasterKeyInvalid, match="not the key"):
            services.check_master_key()


@pytest.mark.django_db
class TestCredentialSet:
    def store(self, secret: str) -> CredentialSet:
        return services.store_credential_set(
            name="routers",
            kind="routeros_api",
            username="mon",
            secret=secret,
            actor=Actor.system("test"),
            at=clock.now(),
        )

    def test_is_sealed_and_opens_again(self, in_acme):
        row = self.store("correct horse")

        assert b"correct horse" not in bytes(row.sealed_secret)
        assert services.open_credential_set(credential_set=row) == "correct horse"

    def test_a_new_secret_makes_a_new_version(self, in_acme):
        self.store("one")
        row = self.store("two")

        assert row.version == 2
        assert CredentialSet.objects.count() == 1
        assert services.open_credential_set(credential_set=row) == "two"

    def test_another_tenants_key_does_not_open_it(self, acme, globex):
        with acting_in(acme):
            row = self.store("secret")
        with acting_in(globex), pytest.raises(SecretUnreadable):
            services.open_credential_set(credential_set=row)

    def test_the_first_platform_secret_stands(self, db):
        first = services.store_platform_secret(name="ca", plaintext=b"one", at=clock.now())
        again = services.store_platform_secret(name="ca", plaintext=b"two", at=clock.now())

        assert (first, again) == (b"one", b"one")
        assert services.platform_secret("ca") == b"one"
        assert b"one" not in bytes(PlatformSecret.objects.get(name="ca").sealed)
