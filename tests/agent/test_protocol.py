"""Ids, registry, sealing and tokens, which agent and server share."""

import json
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jsonschema import Draft202012Validator

from agent.protocol import ids
from agent.protocol.batch import BATCH_SCHEMA
from agent.protocol.registry import ENTITY_TYPES, EVENTS, METRICS, Kind
from agent.protocol.sealing import SealedBoxInvalid, open_sealed, seal_for
from agent.protocol.tokens import TokenContent, TokenInvalid, parse_token

DEVICE = UUID("5b0c8a36-4f2e-4a59-9a3e-0d3b6f1a2c4d")


class TestIds:
    def test_follow_the_published_format(self):
        assert ids.interface_id(DEVICE, "sfp-sfpplus1") == uuid5(DEVICE, "interface|sfp-sfpplus1")
        assert ids.bgp_peer_id(DEVICE, "up-a", "192.0.2.1", "64500") == uuid5(
            DEVICE, "bgp_peer|up-a"
        )
        assert ids.bgp_peer_id(DEVICE, "", "192.0.2.1", "64500") == uuid5(
            DEVICE, "bgp_peer|192.0.2.1|64500"
        )
        assert ids.ospf_neighbor_id(DEVICE, "10.0.0.2", "backbone", "10.1.0.2") == uuid5(
            DEVICE, "ospf_neighbor|10.0.0.2|backbone|10.1.0.2"
        )
        assert ids.pppoe_service_id(DEVICE, "internet") == uuid5(DEVICE, "service|pppoe|internet")


class TestRegistry:
    def test_names_every_metric_and_event_once_for_a_known_entity(self):
        assert len(METRICS) >= 80
        assert {m.entity_type for m in METRICS.values()} <= set(ENTITY_TYPES)
        assert METRICS["device.up"].kind is Kind.BOOL
        assert METRICS["interface.optic.rx_dbm"].minimum < 0
        assert METRICS["device.cpu_pct"].maximum == 100
        assert EVENTS["device.rebooted"].severity == "warn"

    def test_holds_every_name_of_the_published_contract(self):
        contract = Path(__file__).parents[3] / "shared/design/contracts/registry-v1.md"
        if not contract.exists():
            pytest.skip("the design documents are not beside this checkout")
        import re

        text = contract.read_text(encoding="utf-8")
        contract_names = set(re.findall(r"`([a-z]+(?:\.[a-z_0-9]+)+)`", text))
        known = METRICS.keys() | EVENTS.keys()

        assert contract_names - known == set()


class TestBatchSchema:
    def test_is_a_valid_schema_and_json(self):
        Draft202012Validator.check_schema(BATCH_SCHEMA)
        assert json.loads(json.dumps(BATCH_SCHEMA)) == BATCH_SCHEMA


class TestSealing:
    @pytest.fixture
    def key(self):
        return X25519PrivateKey.generate()

    @pytest.fixture
    def sealed(self, key):
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return seal_for(public, b"pass word", str(DEVICE))

    def test_decrypts_for_its_agent_and_device(self, key, sealed):
        assert open_sealed(key, sealed, str(DEVICE)) == b"pass word"

    def test_does_not_decrypt_for_another_agent_or_device(self, key, sealed):
        with pytest.raises(SealedBoxInvalid):
            open_sealed(X25519PrivateKey.generate(), sealed, str(DEVICE))
        with pytest.raises(SealedBoxInvalid):
            open_sealed(key, sealed, "another device")

    @pytest.mark.parametrize("text", ["", "!!", "AA==", "A" * 200])
    def test_refuses_garbage(self, key, text):
        with pytest.raises(SealedBoxInvalid):
            open_sealed(key, text, str(DEVICE))


class TestToken:
    TOKEN = TokenContent("https://127.0.0.1:8001", "ab" * 32, "secret")

    def test_parses_its_own_text(self):
        assert parse_token(f"  {self.TOKEN.text()}\n") == self.TOKEN

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "ispvm1.",
            "ispvm1.%%%",
            TOKEN.text()[:-9],
            "ispvm1." + "A" * 3000,
            TokenContent("http://127.0.0.1", "ab" * 32, "s").text(),
            TokenContent("https://127.0.0.1", "ab", "s").text(),
        ],
    )
    def test_refuses_a_damaged_token(self, text):
        with pytest.raises(TokenInvalid, match="enrollment token"):
            parse_token(text)
