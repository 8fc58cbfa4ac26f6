"""Hostile bodies: the contract's status, nothing stored, the next valid batch is accepted."""

import gzip
import json
import zlib

import pytest
import zstandard

pytestmark = pytest.mark.django_db

HEAD = {
    "schema_version": "1.0",
    "batch_id": "11111111-1111-4111-8111-111111111111",
    "boot_id": "22222222-2222-4222-8222-222222222222",
    "sequence": 1,
    "sent_at": "2026-11-23T12:00:00Z",
    "agent": {"id": "33333333-3333-4333-8333-333333333333"},
    "metrics": [],
    "events": [],
}
METRIC = (
    '{"ts":"2026-11-23T12:00:00Z","metric_name":"device.cpu_pct","entity_type":"device",'
    '"entity_id":"33333333-3333-4333-8333-333333333333","value_num":%s}'
)


def with_field(**fields) -> bytes:
    return json.dumps({**HEAD, **fields}).encode()


def without(name: str) -> bytes:
    return json.dumps({k: v for k, v in HEAD.items() if k != name}).encode()


def with_value(text: str) -> bytes:
    return (
        json.dumps(HEAD)
        .encode()
        .replace(b'"metrics": []', f'"metrics": [{METRIC % text}]'.encode())
    )


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return f'{{"x": {opening * depth}{closing * depth}}}'.encode()


NOT_THIS_SCHEMA = {
    "empty": b"",
    "not json": b"hello",
    "half": json.dumps(HEAD).encode()[:-5],
    "trailing": json.dumps(HEAD).encode() + b"{}",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(HEAD).encode(),
    "utf-16": json.dumps(HEAD).encode("utf-16"),
    "latin-1": json.dumps(HEAD).encode().replace(b'"agent"', b'"\xe9"'),
    "other version": with_field(schema_version="2.0"),
    "version is a number": with_field(schema_version=1.0),
    "sequence zero": with_field(sequence=0),
    "sequence negative": with_field(sequence=-1),
    "sequence is text": with_field(sequence="1"),
    "sequence is a fraction": with_field(sequence=1.5),
    "sequence too large": with_field(sequence=2**63),
    "sequence has 5000 digits": json.dumps(HEAD)
    .encode()
    .replace(b'"sequence": 1', b'"sequence": ' + b"9" * 5000),
    "batch id is no uuid": with_field(batch_id="x"),
    "batch id is null": with_field(batch_id=None),
    "time without a zone": with_field(sent_at="2026-11-23T12:00:00"),
    "time is a number": with_field(sent_at=1763900000),
    "no time": with_field(sent_at="yesterday"),
    "metrics is an object": with_field(metrics={}),
    "metrics holds a number": with_field(metrics=[1]),
    "metrics holds null": with_field(metrics=[None]),
    "events is null": with_field(events=None),
    "agent is text": with_field(agent="me"),
    "unknown entity type": with_field(
        metrics=[json.loads(METRIC % "1") | {"entity_type": "planet"}]
    ),
    "unknown severity": with_field(
        events=[
            {
                "id": HEAD["batch_id"],
                "ts": HEAD["sent_at"],
                "event_type": "device.rebooted",
                "severity": "apocalyptic",
                "entity_type": "device",
                "entity_id": HEAD["batch_id"],
                "payload": {},
            }
        ]
    ),
    "NaN": with_value("NaN"),
    "Infinity": with_value("Infinity"),
    "-Infinity": with_value("-Infinity"),
    "1e999": with_value("1e999"),
    "1e400": with_value("1e400"),
    "an integer past float64": with_value("1" + "0" * 400),
    "a value in hexadecimal": with_value("0x10"),
    "value is an object": with_value("{}"),
    "value is a list": with_value("[1]"),
    "value is text": with_value('"12"'),
    "value is true": with_value("true"),
    "lone surrogate in a key": json.dumps(HEAD).encode().replace(b'"agent"', b'"\\ud800"'),
    "nested 17 deep": nested(16),
    "nested 100000 deep": nested(100_000),
    "nested objects": nested(50_000, '{"a":', "1" + "}" * 0),
    "dropped backwards": with_field(dropped={"from": 9, "to": 3, "samples": 1}),
    "dropped without samples": with_field(dropped={"from": 1, "to": 3}),
    "patch is a list": with_field(inventory_patch=[]),
    "patch section is an object": with_field(inventory_patch={"devices": {}}),
    **{f"without {name}": without(name) for name in HEAD},
}


@pytest.mark.parametrize("body", NOT_THIS_SCHEMA.values(), ids=NOT_THIS_SCHEMA.keys())
def test_an_invalid_body_is_400_and_stores_nothing(agent, stored, body):
    answer = agent.post("batch", body)

    assert answer.status_code == 400, answer.content
    assert answer.json()["code"]
    assert sum(stored().values()) == 0


BOMBS = {
    "100 MB of zeros in gzip": (gzip.compress(bytes(100_000_000)), "gzip"),
    "gzip in gzip": (gzip.compress(gzip.compress(bytes(100_000_000)) * 50), "gzip"),
    "100 MB of zeros in zstd": (zstandard.compress(bytes(100_000_000)), "zstd"),
    "70 MB that does not compress well": (
        zlib.compress(b"", wbits=31)[:0] + gzip.compress(b"0123456789abcdef" * 4_500_000, 1),
        "gzip",
    ),
    "11 MB uncompressed": (b" " * (11 * 2**20), ""),
    "50001 metrics": (
        gzip.compress(
            with_field().replace(
                b'"metrics": []',
                b'"metrics": [' + b",".join([(METRIC % "1").encode()] * 50_001) + b"]",
            ),
            1,
        ),
        "gzip",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_body_over_a_limit_is_413_while_it_arrives(agent, stored, name):
    body, encoding = BOMBS[name]

    answer = agent.post("batch", body, headers={"Content-Encoding": encoding} if encoding else None)

    assert answer.status_code == 413, answer.content
    assert sum(stored().values()) == 0


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"not gzip at all", "gzip"),
        (gzip.compress(json.dumps(HEAD).encode())[:-4], "gzip"),
        (gzip.compress(json.dumps(HEAD).encode()) + b"tail", "gzip"),
        (zstandard.compress(json.dumps(HEAD).encode())[:-3], "zstd"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 20, "zstd"),
        (json.dumps(HEAD).encode(), "gzip"),
    ],
)
def test_a_body_that_does_not_match_its_encoding_is_400(agent, stored, body, encoding):
    answer = agent.post("batch", body, headers={"Content-Encoding": encoding})

    assert answer.status_code == 400
    assert sum(stored().values()) == 0


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "x"])
def test_an_unknown_encoding_is_415(agent, encoding):
    answer = agent.post("batch", with_field(), headers={"Content-Encoding": encoding})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_encoding")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "", "application/json; charset=utf-16"]
)
def test_an_unknown_content_type_is_415(agent, content_type):
    answer = agent.post("batch", with_field(), content_type=content_type)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_content_type")


def test_the_next_valid_batch_is_accepted(agent):
    for body in (b"", nested(100_000), with_value("NaN")):
        agent.post("batch", body)

    assert agent.send(agent.metric()).json()["accepted"]["metrics"] == 1


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_another_method_is_405(agent, method):
    answer = getattr(agent.http, method)("/ingest/v1/batch")

    assert (answer.status_code, answer["Allow"]) == (405, "POST")
