"""A ciphertext opens only unchanged, with its key and its associated data."""

import os
import random
import sys

import pytest

from apps.core import clock
from apps.tenancy import acting_in
from apps.vault import services
from apps.vault.envelope import (
    FORMAT,
    KEY_ID_BYTES,
    NONCE_BYTES,
    encode_associated_data,
    seal,
    unseal,
)
from apps.vault.errors import SecretUnreadable
from apps.vault.models import CredentialSet
from apps.webhooks.models import Secret
from tests.vault.keys import ACTOR, open_main_secret, store

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
KEY_ID = (1).to_bytes(KEY_ID_BYTES, "big")
ASSOCIATED_DATA = encode_associated_data("tenant", "table", "row", "field")
HEAD = 1 + KEY_ID_BYTES
SEED = 20261125


def is_refused(
    sealed: bytes, *, key: bytes = KEY, associated_data: bytes = ASSOCIATED_DATA
) -> bool:
    try:
        unseal(key, sealed, associated_data)
    except SecretUnreadable:
        return True
    return False


def ciphertexts(count: int) -> list[bytes]:
    rng = random.Random(SEED)
    return [
        seal(KEY, KEY_ID, rng.randbytes(rng.randrange(0, 120)), ASSOCIATED_DATA)
        for _ in range(count)
    ]


class TestEnvelope:
    @pytest.mark.parametrize(
        "plain", [b"", b"secret", "p\u00e4ss w\u00f6rd \U0001f511".encode(), bytes(100_000)]
    )
    def test_round_trip(self, plain):
        assert unseal(KEY, seal(KEY, KEY_ID, plain, ASSOCIATED_DATA), ASSOCIATED_DATA) == plain

    def test_nonces_are_unique(self):
        assert len({seal(KEY, KEY_ID, b"secret", ASSOCIATED_DATA) for _ in range(100)}) == 100

    def test_refuses_every_flipped_byte_of_50_ciphertexts(self):
        flips = 0
        for sealed in ciphertexts(50):
            for index in range(len(sealed)):
                broken = bytearray(sealed)
                broken[index] ^= 1 << (index % 8)
                assert is_refused(bytes(broken)), index
                flips += 1
        sys.stdout.write(f"S1: {flips} flipped bytes of 50 ciphertexts, seed {SEED}: all refused\n")
        assert flips > 50 * (HEAD + NONCE_BYTES + 16)

    def test_refuses_every_truncation_and_anything_longer(self):
        sealed = seal(KEY, KEY_ID, b"secret", ASSOCIATED_DATA)

        assert all(is_refused(sealed[:length]) for length in range(len(sealed)))
        assert all(is_refused(sealed[start:]) for start in range(1, len(sealed)))
        assert is_refused(sealed + b"\x00")

    def test_refuses_swapped_nonces_headers_and_bodies(self):
        one, other = (
            seal(KEY, KEY_ID, b"secret", ASSOCIATED_DATA),
            seal(KEY, KEY_ID, b"secreu", ASSOCIATED_DATA),
        )
        nonce = slice(HEAD, HEAD + NONCE_BYTES)

        assert is_refused(one[:HEAD] + other[nonce] + one[nonce.stop :])
        assert is_refused(one[: nonce.stop] + other[nonce.stop :])
        assert is_refused(FORMAT + (2).to_bytes(KEY_ID_BYTES, "big") + one[HEAD:])
        assert is_refused(b"\x01" + one[HEAD:])

    @pytest.mark.parametrize(
        "other_data",
        [
            encode_associated_data("other", "table", "row", "field"),
            encode_associated_data("tenant", "other", "row", "field"),
            encode_associated_data("tenant", "table", "other", "field"),
            encode_associated_data("tenant", "table", "row", "other"),
            encode_associated_data("tenant", "tabler", "ow", "field"),
            encode_associated_data("tenant", "table", "rowfield"),
            b"",
        ],
    )
    def test_refuses_other_associated_data(self, other_data):
        assert is_refused(seal(KEY, KEY_ID, b"secret", ASSOCIATED_DATA), associated_data=other_data)

    def test_refuses_another_key(self):
        assert is_refused(seal(KEY, KEY_ID, b"secret", ASSOCIATED_DATA), key=OTHER_KEY)


@pytest.mark.django_db
class TestMovedInTheDatabase:
    """An attacker with write access to the database moves ciphertexts."""

    def move(self, row: CredentialSet, sealed: bytes) -> None:
        CredentialSet.objects.filter(pk=row.pk).update(sealed_secret=sealed)
        row.refresh_from_db()

    def test_to_another_row(self, in_acme):
        one, other = store("one", "one"), store("other", "other")
        self.move(one, bytes(other.sealed_secret))

        with pytest.raises(SecretUnreadable):
            open_main_secret(one)

    def test_to_another_field(self, in_acme):
        from apps.webhooks.services import create_endpoint

        row = store("one")
        endpoint, _ = create_endpoint(
            name="noc", url="https://receiver.example/", actor=ACTOR, at=clock.now()
        )
        self.move(row, bytes(Secret.objects.get(endpoint=endpoint).sealed))

        with pytest.raises(SecretUnreadable):
            open_main_secret(row)

    def test_to_another_tenant_under_the_same_ids(self, acme, globex):
        with acting_in(acme):
            row = store("acme's")
            stolen = bytes(row.sealed_secret)
        with acting_in(globex):
            twin = store("globex's")
            CredentialSet.objects.filter(pk=twin.pk).update(sealed_secret=stolen)
            twin.refresh_from_db()
            with pytest.raises(SecretUnreadable):
                open_main_secret(twin)
            twin.pk = row.pk  # not even as the same row
            with pytest.raises(SecretUnreadable):
                open_main_secret(twin)

    def test_to_another_version_of_the_key(self, in_acme):
        row = store("one")
        sealed = bytes(row.sealed_secret)
        services.begin_rotation(tenant_id=in_acme.id, actor=ACTOR, at=clock.now())
        self.move(row, FORMAT + (2).to_bytes(KEY_ID_BYTES, "big") + sealed[HEAD:])

        with pytest.raises(SecretUnreadable):
            open_main_secret(row)

    def test_random_bytes(self, in_acme):
        row = store("one")
        for sealed in (b"\x02", os.urandom(60), b"\x02" + bytes(8) + os.urandom(60), b"x" * 2000):
            self.move(row, sealed)
            with pytest.raises(SecretUnreadable):
                open_main_secret(row)
