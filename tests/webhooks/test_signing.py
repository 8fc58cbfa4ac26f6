"""Both signatures, checked by the receiver's verifier, which shares no code with the signer."""

import random

import pytest

from apps.webhooks.receiver.verifier import verify
from apps.webhooks.signing import key_of, legacy_signature, make_secret, standard_signature
from tests.webhooks.samples import NOW, OTHER_SECRET, SECRET, signed_request


def test_the_published_vector_of_standard_webhooks():
    signature = standard_signature(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


# The HMAC-SHA256 vectors that GitHub publishes for its header of the same form.
def test_a_published_vector_of_the_plain_body_signature():
    assert legacy_signature("It's a Secret to Everybody", b"Hello, World!") == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


def test_a_new_secret_is_32_random_bytes():
    secrets = {make_secret() for _ in range(50)}

    assert len(secrets) == 50
    assert all(len(key_of(secret)) == 32 for secret in secrets)


@pytest.mark.parametrize("text", ["", "whsec_%%%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_a"])
def test_invalid_secrets_are_refused(text):
    with pytest.raises(ValueError, match="webhook secret"):
        key_of(text)


class TestVerifier:
    def test_accepts_signed_requests(self):
        headers, body = signed_request()

        verification = verify(headers, body, [SECRET], now=NOW)

        assert (verification.verified, verification.reason) == (True, "")
        assert verification.event["event_id"] == headers["webhook-id"]

    @pytest.mark.parametrize(
        "body_parts",
        [
            {"title": "ünïcödé ✓ 网络"},
            {"title": ""},
            {"title": "x" * 1_000_000},
            {"title": '"\\\u2028'},
        ],
        ids=["unicode", "empty", "1 MB", "escapes"],
    )
    def test_accepts_any_body(self, body_parts):
        headers, body = signed_request(**body_parts)

        assert verify(headers, body, [SECRET], now=NOW).verified

    @pytest.mark.parametrize("known_secrets", [[SECRET], [OTHER_SECRET], [OTHER_SECRET, SECRET]])
    def test_accepts_either_secret_during_rotation(self, known_secrets):
        """The standard header carries both; the legacy one only the current."""
        headers, body = signed_request(secrets=[SECRET, OTHER_SECRET])
        if known_secrets == [OTHER_SECRET]:
            headers["x-ispvm-signature"] = legacy_signature(OTHER_SECRET, body)

        assert verify(headers, body, known_secrets, now=NOW).verified

    def test_rejects_another_secret(self):
        headers, body = signed_request()

        verification = verify(headers, body, [OTHER_SECRET], now=NOW)

        assert verification.reason == "no value of webhook-signature matches"

    @pytest.mark.parametrize(
        ("offset", "is_accepted"),
        [(0, True), (299, True), (-299, True), (301, False), (-301, False), (10**6, False)],
    )
    def test_checks_the_age(self, offset, is_accepted):
        headers, body = signed_request()

        assert verify(headers, body, [SECRET], now=NOW + offset).verified is is_accepted

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("webhook-id", "968b5fdf-c9e6-4204-a389-a9cb1cf11d94"),
            ("webhook-timestamp", str(NOW + 1)),
            ("webhook-timestamp", "now"),
            ("webhook-timestamp", "\u0661\u0667"),
            ("webhook-timestamp", "9" * 5000),
            ("webhook-signature", "v1,"),
            ("webhook-signature", "v2,AAAA"),
            ("webhook-signature", "é"),
            ("x-ispvm-signature", "sha256="),
            ("x-ispvm-signature", "sha1=00"),
            ("x-ispvm-signature", "sha256=é"),
            ("x-ispvm-event-type", "incident.closed"),
            ("x-ispvm-tenant-id", "833be2a3-debd-4c3c-86d6-b2d599a935f3"),
        ],
    )
    def test_rejects_an_exchanged_header(self, name, value):
        headers, body = signed_request()

        assert not verify({**headers, name: value}, body, [SECRET], now=NOW).verified

    @pytest.mark.parametrize(
        "name",
        [
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
            "x-ispvm-signature",
            "x-ispvm-event-type",
            "x-ispvm-tenant-id",
        ],
    )
    def test_requires_every_header(self, name):
        headers, body = signed_request()
        del headers[name]

        assert not verify(headers, body, [SECRET], now=NOW).verified

    def test_notices_every_flipped_bit_of_body_and_id(self):
        rng = random.Random(20260715)
        headers, body = signed_request()
        for position in rng.sample(range(len(body) * 8), 2000):
            altered = bytearray(body)
            altered[position // 8] ^= 1 << position % 8
            assert not verify(headers, bytes(altered), [SECRET], now=NOW).verified
        for position in range(len(headers["webhook-id"]) * 7):
            altered = bytearray(headers["webhook-id"].encode())
            altered[position // 7] ^= 1 << position % 7
            changed = {**headers, "webhook-id": altered.decode("ascii", "replace")}
            assert not verify(changed, body, [SECRET], now=NOW).verified
