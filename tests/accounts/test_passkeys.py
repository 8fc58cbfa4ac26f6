"""Passkeys: malformed responses are refused with an error, and a challenge is accepted once."""

import json

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from tests.accounts.test_second_factor import first_step, is_in

pytestmark = pytest.mark.django_db
PROVE, MAKE = "/sign-in/passkey/", "/account/passkeys/"


def answer(**changed) -> str:
    response = {
        "clientDataJSON": "e30",
        "attestationObject": "oA",
        "authenticatorData": "AA",
        "signature": "AA",
        "userHandle": "AA",
    }
    credential = {"id": "AA", "rawId": "AA", "type": "public-key", "response": response}
    return json.dumps({**credential, "clientExtensionResults": {}, **changed})


JUNK = [
    "",
    "x",
    "null",
    "[]",
    "7",
    "{}",
    '"text"',
    "[" * 10_000,
    "x" * 50_000,
    '{"a": NaN}',
    answer(),
    answer(id=None),
    answer(id=7, rawId=[]),
    answer(rawId="!!!"),
    answer(type="x"),
    answer(response=None),
    answer(response=[]),
    answer(response={}),
    answer(response={"clientDataJSON": 7}),
    answer(response={"clientDataJSON": "bnVsbA", "attestationObject": "////", "userHandle": "w78"}),
    answer(response={"clientDataJSON": "e30", "attestationObject": "oA", "userHandle": None}),
    answer(clientExtensionResults=[]),
]


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_malformed_responses_cause_no_500_and_no_sign_in(acme_noc, junk):
    client = Client()
    assert client.post(f"{PROVE}options/").status_code == 200

    assert client.post(PROVE, {"answer": junk}).status_code == 422
    assert not is_in(client)


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_malformed_responses_register_no_passkey(acme_noc, junk):
    client = first_step(acme_noc)
    assert client.post(f"{MAKE}options/").status_code == 200

    assert client.post(MAKE, {"answer": junk, "name": "x"}).status_code == 422
    assert not Authenticator.objects.exists()


def test_an_anonymous_challenge_requires_user_verification_and_lists_no_credentials(acme_noc):
    options = Client().post(f"{PROVE}options/").json()["publicKey"]

    assert options["userVerification"] == "required"
    assert not options.get("allowCredentials")
    assert options["rpId"] == "testserver"


def test_challenges_are_unique():
    client = Client()

    challenges = {
        client.post(f"{PROVE}options/").json()["publicKey"]["challenge"] for _ in range(5)
    }

    assert len(challenges) == 5
