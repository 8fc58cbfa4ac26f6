"""Parsing of RouterOS values and rows, as seen on devices, and of arbitrary text."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.routeros import hardware, menus, values
from agent.normalize.entities import InventoryCache
from agent.normalize.metrics import samples_of
from agent.normalize.readings import Cost, DeviceReading, Reading
from agent.protocol.registry import METRICS

UNITS = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("19w4d13h22m21s", 11_884_941),
        ("1m30s", 90),
        ("53m10s720ms", 3190.72),
        ("14ms612us", 0.014612),
        ("4s70ms", 4.07),
        ("0ms", 0),
        ("14:40:26", 52_826),
        ("2d09:29:51", 206_991),
        ("1w2d09:29:51", 811_791),
        ("00:00:00", 0),
        ("0.2sec", 0.2),
        ("1sec", 1),
    ],
)
def test_durations_seen_on_devices(text, seconds):
    assert values.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", [None, "", "never", "none", "infinity", "12", "s", "1x", "1s ", "-1s"]
)
def test_an_invalid_duration_is_missing(text):
    assert values.duration(text) is None


@given(st.integers(0, 10**9))
def test_durations_as_routeros_writes_them(seconds):
    rest, text = seconds, ""
    for unit, size in UNITS:
        amount, rest = divmod(rest, size)
        text += f"{amount}{unit}" if amount else ""

    assert values.duration(text or "0s") == seconds


@given(st.text(max_size=40))
def test_parsing_never_raises(text):
    for read in (
        values.duration,
        values.boolean,
        values.integer,
        values.number,
        values.parse_datetime,
    ):
        read(text)
    values.as_number(text)
    values.host(text)


@given(st.integers(0, 2**64 - 1))
def test_counters_are_exact(value):
    assert values.integer(str(value)) == value


@pytest.mark.parametrize("text", ["-1", "1.5", "", "0x10", "1 000", str(2**64), "٣"])
def test_an_invalid_counter_is_missing(text):
    assert values.integer(text) is None or text == "٣"


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("yes", True), ("", True), ("false", False), ("no", False), ("auto", None)],
)
def test_booleans(text, value):
    assert values.boolean(text) is value


def test_dates_of_both_formats():
    assert values.parse_datetime("2024-10-08 11:14:27") == datetime(2024, 10, 8, 11, 14, 27)  # noqa: DTZ001
    assert values.parse_datetime("nov/24/2016 21:07:05") == datetime(2016, 11, 24, 21, 7, 5)  # noqa: DTZ001
    assert values.parse_datetime("19:07") is None


def test_addresses_and_numbers():
    assert values.host("10.0.0.1/32") == "10.0.0.1"
    assert values.host("fe80::1%ether1") == "fe80::1"
    assert values.as_number("65521/1") == 65_521


@given(
    st.lists(st.dictionaries(st.sampled_from(list(menus._INTERFACE)), st.text(max_size=8))),
    st.lists(
        st.dictionaries(
            st.sampled_from(["name", "remote.address", "remote.as", "established", "uptime"]),
            st.text(max_size=8),
        )
    ),
)
def test_arbitrary_rows_never_raise_or_leave_the_registry(ports, sessions):
    reading = Reading(
        at=0,
        cost=Cost(1, 1, 1, 1),
        device=DeviceReading(values=menus.resource_values({"uptime": "1s"}, with_disk=True)),
        interfaces=list(menus.interfaces_of(ports)),
        bgp=list(menus.bgp_of(sessions, sessions)),
        ospf=list(menus.ospf_of(sessions)),
    )
    device = UUID(int=7)
    for sample in samples_of(
        device, reading, {"ospf_neighbors": [], "bgp_peers": [], "services": []}, "routeros_api"
    ):
        metric = METRICS[sample.metric]
        if isinstance(sample.value, str):
            assert metric.is_text
        else:
            assert metric.minimum <= sample.value <= metric.maximum
    InventoryCache().diff(device, reading)


# A folder of rows as real routers gave them; too many licences to keep them here.
COLLECTED = Path(__file__).parents[3] / "shared" / "data" / "routeros"
collected = pytest.mark.skipif(
    not COLLECTED.is_dir(), reason="the collected rows of real routers are not beside this checkout"
)


def collected_rows(name: str) -> list[dict[str, str]]:
    return json.loads((COLLECTED / f"{name}.json").read_text(encoding="utf-8"))["rows"]


@collected
def test_real_ospf_neighbors():
    (full,) = menus.ospf_of(collected_rows("routing_ospf_neighbor__v7__wisp"))

    assert full.is_up
    assert full.uptime_seconds == timedelta(hours=1, minutes=49, seconds=55).total_seconds()
    assert (full.interface, full.state_changes) == (None, 4)
    assert all(
        row.router_id for row in menus.ospf_of(collected_rows("routing_ospf_neighbor__v6__wisp"))
    )


@collected
def test_real_bgp_sessions_that_are_down_keep_stale_prefixes():
    down, *up = menus.bgp_of([], collected_rows("routing_bgp_session__v7.12.1__rb750gr3-lab"))

    assert (down.name, down.is_up, down.state) == ("to-r1", False, "down")
    assert down.prefixes_in is None
    assert down.uptime_seconds is None
    assert up
    (bogon,) = menus.bgp_of([], collected_rows("routing_bgp_session__v7.13__mktxp94"))
    assert (bogon.is_up, bogon.prefixes_in, bogon.uptime_seconds) == (True, 0, 3190.72)


@collected
def test_real_interfaces():
    (ether9,) = menus.interfaces_of(collected_rows("interface__v6.49__ha272"))

    assert (ether9.name, ether9.is_running, ether9.is_disabled) == ("ether9", True, False)
    assert ether9.counters["interface.rx_bytes_total"] == 542_862_366
    assert list(menus.interfaces_of(collected_rows("interface__v7__pppoe-in"))) == []


@collected
def test_every_collected_row_is_parsed_or_ignored():
    for path in sorted(COLLECTED.glob("*__*.json")):
        for row in json.loads(path.read_text(encoding="utf-8")).get("rows", []):
            if not isinstance(row, dict):
                continue
            texts = {key: value for key, value in row.items() if isinstance(value, str)}
            for value in texts.values():
                for read in (
                    values.duration,
                    values.boolean,
                    values.integer,
                    values.parse_datetime,
                ):
                    read(value)
            list(menus.interfaces_of([texts]))
            list(menus.ospf_of([texts]))
            list(menus.bgp_of([texts], [texts]))
            menus.resource_values(texts, with_disk=True)


def test_sensors_of_both_versions():
    listed = [
        {"name": "cpu-temperature", "value": "47", "type": "C"},
        {"name": "board-temperature1", "value": "36", "type": "C"},
        {"name": "fan1-speed", "value": "3300", "type": "RPM"},
        {"name": "fan2-speed", "value": "0", "type": "RPM"},
        {"name": "psu1-voltage", "value": "12.1", "type": "V"},
        {"name": "psu1-state", "value": "ok", "type": ""},
        {"name": "psu2-state", "value": "fail", "type": ""},
    ]

    assert hardware.health_of(listed) == {
        "device.temp_c": 47,
        "device.board_temp_c": 36,
        "device.voltage_v": 12.1,
        "device.fan_rpm": 0,
        "device.psu.ok": 0,
    }
    flat = [{"voltage": "23.8", "temperature": "38"}]
    assert hardware.health_of(flat)["device.voltage_v"] == 23.8
    assert hardware.health_of([]) == {}


def test_optics_are_scaled_and_empty_cages_have_none():
    light = {
        "name": "sfp1",
        "rate": "10Gbps",
        "sfp-module-present": "true",
        "sfp-rx-power": "-5.22",
        "sfp-tx-power": "-2064",
        "sfp-supply-voltage": "3298",
        "sfp-temperature": "33",
        "sfp-tx-bias-current": "2",
    }
    lanes = {"name": "q", "sfp-module-present": "true", "sfp-rx-power": "-1.2,-4.8,-1.0,-1.1"}
    empty = {"name": "sfp2", "sfp-module-present": "false", "sfp-rx-power": "-40"}
    ports = dict(hardware.ports_of([light, lanes, empty, {"name": "ether1", "rate": "2.5Gbps"}]))

    assert ports["sfp1"] == {
        "interface.speed_bps": 10e9,
        "interface.optic.rx_dbm": -5.22,
        "interface.optic.tx_dbm": -2.064,
        "interface.optic.voltage_v": 3.298,
        "interface.optic.temp_c": 33,
        "interface.optic.bias_ma": 2,
    }
    assert ports["q"] == {"interface.optic.rx_dbm": -4.8}
    assert ports["sfp2"] == {}
    assert ports["ether1"] == {"interface.speed_bps": 2.5e9}


def test_the_clock_is_local_time_with_an_offset():
    now = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
    row = {"date": "2026-03-01", "time": "17:30:00", "gmt-offset": "+05:30"}

    assert hardware.clock_skew(row, now) == -5
    assert hardware.clock_skew({**row, "date": "mar/01/2026"}, now) == -5
    assert hardware.clock_skew({**row, "gmt-offset": ""}, now) is None
    unset_clock = {"date": "1970-01-02", "time": "00:00:00", "gmt-offset": "-05:00"}
    assert hardware.clock_skew(unset_clock, now) < -1e9
