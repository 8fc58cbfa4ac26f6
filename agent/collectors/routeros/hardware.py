"""Sensors, clock and optics, with the differences between boards."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone

from agent.collectors.errors import CommandRefused
from agent.collectors.routeros.session import RouterSession, Row
from agent.collectors.routeros.values import flag, number, parse_datetime

#: Ports in one monitor command: reading a module over its bus is slow.
PORTS_PER_COMMAND = 16
_MONITORED = (
    *("name", "rate", "sfp-module-present", "sfp-temperature", "sfp-supply-voltage"),
    *("sfp-tx-bias-current", "sfp-tx-power", "sfp-rx-power"),
)
_RATE = re.compile(r"(\d+(?:\.\d+)?)([KMGT])bps")
_PREFIX = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")
# Sensor names by metric, best first.
_SENSORS: Mapping[str, tuple[str, ...]] = {
    "device.temp_c": ("cpu-temperature", "temperature"),
    "device.board_temp_c": ("board-temperature1", "board-temperature", "temperature"),
    "device.voltage_v": ("voltage", "psu1-voltage"),
    "device.current_a": ("current", "psu1-current"),
    "device.power_w": ("power-consumption",),
}
_FAN = re.compile(r"fan\d+-speed")
_SUPPLY = re.compile(r"psu\d*-state")
# Values above these are in thousandths: no light is -40 dBm, the supply is 3.3 V.
_MAX_DBM, _MAX_VOLTS, _MAX_CELSIUS = 60.0, 20.0, 200.0


def read_health(session: RouterSession) -> dict[str, float]:
    """Temperatures, voltages, fans, supplies; many boards and all virtual ones lack them. Raises ConnectionFailed."""
    return health_of(session.print("/system/health") or [])


def health_of(rows: Sequence[Row]) -> dict[str, float]:
    """v7 lists sensors as (name, value); v6 has one flat row."""
    if any("value" in row for row in rows):
        sensors = {row.get("name", ""): row.get("value", "") for row in rows}
    else:
        sensors = dict(rows[0]) if rows else {}
    values: dict[str, float] = {}
    for metric, names in _SENSORS.items():
        candidates = (number(sensors.get(name)) for name in names)
        value = next((value for value in candidates if value is not None), None)
        if value is not None:
            values[metric] = value
    fans = [number(value) for name, value in sensors.items() if _FAN.fullmatch(name)]
    speeds = [value for value in fans if value is not None]
    if speeds:
        values["device.fan_rpm"] = min(speeds)  # the slowest fan is the one that fails
    supplies = [value for name, value in sensors.items() if _SUPPLY.fullmatch(name)]
    if supplies:
        values["device.psu.ok"] = float(all(value == "ok" for value in supplies))
    return values


def read_clock_skew(session: RouterSession, now: datetime) -> dict[str, float]:
    """Skew of the router's clock, to the second. Raises ConnectionFailed."""
    rows = session.print("/system/clock")
    skew = clock_skew(rows[0], now) if rows else None
    return {} if skew is None else {"device.clock.skew_seconds": skew}


def clock_skew(row: Row, now: datetime) -> float | None:
    """The router's clock minus this host's, in seconds; None when the router reports no UTC offset."""
    local = parse_datetime(f"{row.get('date', '')} {row.get('time', '')}")
    offset = _OFFSET.fullmatch(row.get("gmt-offset", ""))
    if local is None or offset is None:
        return None
    sign, hours, minutes = offset.groups()
    shift = timedelta(hours=int(hours), minutes=int(minutes))
    if shift >= timedelta(days=1):
        return None
    zone = timezone(-shift if sign == "-" else shift)
    return (local.replace(tzinfo=zone) - now.astimezone(UTC)).total_seconds()


def read_ports(session: RouterSession, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Speed and optics of these Ethernet ports by name. Raises ConnectionFailed."""
    ports: dict[str, dict[str, float]] = {}
    for start in range(0, len(names), PORTS_PER_COMMAND):
        numbers = ",".join(names[start : start + PORTS_PER_COMMAND])
        words = [f"=numbers={numbers}", "=once=", f"=.proplist={','.join(_MONITORED)}"]
        try:
            reply = session.command("/interface/ethernet/monitor", words)
        except CommandRefused:
            continue  # one of them is no Ethernet port, or the user lacks the permission
        ports |= dict(ports_of(reply.rows))
    return ports


def ports_of(rows: Iterable[Row]) -> Iterator[tuple[str, dict[str, float]]]:
    """Rows of monitor. Copper and direct-attach modules have no optics; an empty cage reports no module."""
    for row in rows:
        if not row.get("name"):
            continue
        values = {
            "interface.speed_bps": speed(row.get("rate")),
            "interface.optic.rx_dbm": _scaled(row.get("sfp-rx-power"), _MAX_DBM),
            "interface.optic.tx_dbm": _scaled(row.get("sfp-tx-power"), _MAX_DBM),
            "interface.optic.temp_c": _scaled(row.get("sfp-temperature"), _MAX_CELSIUS),
            "interface.optic.voltage_v": _scaled(row.get("sfp-supply-voltage"), _MAX_VOLTS),
            "interface.optic.bias_ma": _lowest_lane(row.get("sfp-tx-bias-current")),
        }
        if "sfp-module-present" in row and not flag(row["sfp-module-present"]):
            values = {"interface.speed_bps": values["interface.speed_bps"]}
        yield row["name"], {metric: value for metric, value in values.items() if value is not None}


def speed(text: str | None) -> float | None:
    """``2.5Gbps`` in bits per second."""
    match = _RATE.fullmatch(text or "")
    return float(match[1]) * _PREFIX[match[2]] if match else None


def _lowest_lane(text: str | None) -> float | None:
    """The lowest value of a module with several lanes."""
    lanes = [number(lane.strip()) for lane in (text or "").split(",")]
    values = [lane for lane in lanes if lane is not None]
    return min(values) if values else None


def _scaled(text: str | None, maximum: float) -> float | None:
    value = _lowest_lane(text)
    return value / 1000 if value is not None and abs(value) > maximum else value
