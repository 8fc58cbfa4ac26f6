"""Sensors, clock and optics: what changes slowly, and the odd ways in which boards say it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone

from agent.collectors.errors import Trapped
from agent.collectors.routeros.session import RouterSession, Row
from agent.collectors.routeros.values import flag, moment, number

#: Ports in one monitor command: each is read from its module over a slow bus.
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
# Beyond these the module speaks in thousandths: no light is -40 dBm, 3.3 V is the supply.
_MOST_DBM, _MOST_VOLTS, _MOST_CELSIUS = 60.0, 20.0, 200.0


def read_health(session: RouterSession) -> dict[str, float]:
    """Temperatures, voltages, fans and supplies; many boards and all virtual ones have none. Raises Gone."""
    return health_of(session.print("/system/health") or [])


def health_of(rows: Sequence[Row]) -> dict[str, float]:
    """v7 lists sensors as (name, value); v6 has one flat row."""
    if any("value" in row for row in rows):
        sensors = {row.get("name", ""): row.get("value", "") for row in rows}
    else:
        sensors = dict(rows[0]) if rows else {}
    said: dict[str, float] = {}
    for metric, names in _SENSORS.items():
        found = (number(sensors.get(name)) for name in names)
        value = next((value for value in found if value is not None), None)
        if value is not None:
            said[metric] = value
    fans = [number(value) for name, value in sensors.items() if _FAN.fullmatch(name)]
    turning = [value for value in fans if value is not None]
    if turning:
        said["device.fan_rpm"] = min(turning)  # the slowest is the one that fails
    supplies = [value for name, value in sensors.items() if _SUPPLY.fullmatch(name)]
    if supplies:
        said["device.psu.ok"] = float(all(value == "ok" for value in supplies))
    return said


def read_clock_skew(session: RouterSession, now: datetime) -> dict[str, float]:
    """How far the router's clock is from ours, to the second. Raises Gone."""
    rows = session.print("/system/clock")
    skew = clock_skew(rows[0], now) if rows else None
    return {} if skew is None else {"device.clock.skew_seconds": skew}


def clock_skew(row: Row, now: datetime) -> float | None:
    """The router's local time less its offset, less ours; None when it does not say its offset."""
    local = moment(f"{row.get('date', '')} {row.get('time', '')}")
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
    """Speed and optics of these Ethernet ports by name. Raises Gone."""
    found: dict[str, dict[str, float]] = {}
    for start in range(0, len(names), PORTS_PER_COMMAND):
        some = ",".join(names[start : start + PORTS_PER_COMMAND])
        words = [f"=numbers={some}", "=once=", f"=.proplist={','.join(_MONITORED)}"]
        try:
            reply = session.command("/interface/ethernet/monitor", words)
        except Trapped:
            continue  # one of them is not an Ethernet port after all, or we may not look
        found |= dict(ports_of(reply.rows))
    return found


def ports_of(rows: Iterable[Row]) -> Iterator[tuple[str, dict[str, float]]]:
    """Rows of monitor. Copper and direct-attach modules have no optics; an empty cage says so."""
    for row in rows:
        if not row.get("name"):
            continue
        said = {
            "interface.speed_bps": speed(row.get("rate")),
            "interface.optic.rx_dbm": _scaled(row.get("sfp-rx-power"), _MOST_DBM),
            "interface.optic.tx_dbm": _scaled(row.get("sfp-tx-power"), _MOST_DBM),
            "interface.optic.temp_c": _scaled(row.get("sfp-temperature"), _MOST_CELSIUS),
            "interface.optic.voltage_v": _scaled(row.get("sfp-supply-voltage"), _MOST_VOLTS),
            "interface.optic.bias_ma": _worst(row.get("sfp-tx-bias-current")),
        }
        if "sfp-module-present" in row and not flag(row["sfp-module-present"]):
            said = {"interface.speed_bps": said["interface.speed_bps"]}
        yield row["name"], {metric: value for metric, value in said.items() if value is not None}


def speed(text: str | None) -> float | None:
    """``2.5Gbps`` in bits per second."""
    found = _RATE.fullmatch(text or "")
    return float(found[1]) * _PREFIX[found[2]] if found else None


def _worst(text: str | None) -> float | None:
    """A module of several lanes lists them; the lowest lane is the one to look at."""
    lanes = [number(lane.strip()) for lane in (text or "").split(",")]
    known = [lane for lane in lanes if lane is not None]
    return min(known) if known else None


def _scaled(text: str | None, most: float) -> float | None:
    value = _worst(text)
    return value / 1000 if value is not None and abs(value) > most else value
