"""A software passkey with configurable responses: real CBOR, real signatures, any origin."""

import json
import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from fido2 import cbor
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
LEFT_OUT: Any = ...


@dataclass
class SoftwarePasskey:
    """One credential of one authenticator."""

    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    counter: int = 0

    def register(self, options: dict[str, Any], **client: Any) -> str:
        """The response to `navigator.credentials.create` with these options."""
        public_key = options["publicKey"]
        public = cbor.encode(dict(ES256.from_cryptography_key(self.key.public_key())))
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id
        data = self._data(public_key["rp"]["id"], PRESENT | VERIFIED | ATTESTED) + attested + public
        response = {
            "clientDataJSON": _client_data("webauthn.create", public_key["challenge"], client),
            "attestationObject": websafe_encode(
                cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
            ),
        }
        return self._answer(response)

    def prove(self, options: dict[str, Any], user: Any, *, flags: int = 5, **client: Any) -> str:
        """The response to `navigator.credentials.get` with these options."""
        public_key = options["publicKey"]
        data = self._data(public_key["rpId"], flags)
        client_data = _client_data("webauthn.get", public_key["challenge"], client)
        signed = data + sha256(websafe_decode(client_data)).digest()
        response = {
            "clientDataJSON": client_data,
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(self.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
            "userHandle": websafe_encode(user.pk.hex.encode()),
        }
        return self._answer(response)

    def _data(self, rp_id: str, flags: int) -> bytes:
        return sha256(rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _answer(self, response: dict[str, Any]) -> str:
        name = websafe_encode(self.credential_id)
        credential = {"id": name, "rawId": name, "type": "public-key", "response": response}
        return json.dumps({**credential, "clientExtensionResults": {}})


def _client_data(kind: str, challenge: str, changed: dict[str, Any]) -> str:
    credential = {
        "type": kind,
        "challenge": challenge,
        "origin": settings.ISPVM_PUBLIC_URL,
        "crossOrigin": False,
        **changed,
    }
    present = {name: value for name, value in credential.items() if value is not LEFT_OUT}
    return websafe_encode(json.dumps(present).encode())
