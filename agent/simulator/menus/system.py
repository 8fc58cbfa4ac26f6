"""The router itself: name, board, load, temperature, clock."""

import math
from collections.abc import Iterator

from agent.simulator import seeded
from agent.simulator.menus.view import Row, View
from agent.simulator.routeros import formats

DISK_BYTES = 134_217_728


def oscillate(view: View, label: str, *, low: float, high: float, period: float) -> float:
    """A value that oscillates slowly between two bounds, with a different phase on every router."""
    phase = seeded.rng(view.isp.seed, label, view.router.name).uniform(0, 2 * math.pi)
    wave = math.sin(2 * math.pi * view.now.timestamp() / period + phase)
    return low + (high - low) * (wave + 1) / 2


def identity(view: View) -> Iterator[Row]:
    yield {"name": view.router.name}


def resource(view: View) -> Iterator[Row]:
    router, release = view.router, view.release
    used = oscillate(view, "memory", low=0.18, high=0.27, period=3600)
    yield {
        "uptime": formats.duration(view.uptime),
        "version": f"{release.version} ({release.channel})",
        "build-time": release.build_time,
        "factory-software": release.factory,
        "free-memory": str(int(router.memory_bytes * (1 - used))),
        "total-memory": str(router.memory_bytes),
        "cpu": "ARMv7" if release.is_v6 else "ARM64",
        "cpu-count": str(router.cpu_count),
        "cpu-frequency": "2000",
        "cpu-load": str(int(oscillate(view, "cpu", low=4, high=31, period=900))),
        "free-hdd-space": str(DISK_BYTES - 31_457_280),
        "total-hdd-space": str(DISK_BYTES),
        "write-sect-since-reboot": str(int(view.uptime.total_seconds() // 90)),
        "write-sect-total": str(200_000 + int(view.uptime.total_seconds() // 90)),
        "bad-blocks": "0",
        "architecture-name": "arm" if release.is_v6 else "arm64",
        "board-name": router.board,
        "platform": "MikroTik",
    }


def routerboard(view: View) -> Iterator[Row]:
    """`current-firmware` is the boot loader's version, not RouterOS's."""
    yield {
        "routerboard": "true",
        "model": view.router.board,
        "serial-number": view.router.serial_number,
        "firmware-type": "al64",
        "factory-firmware": view.release.factory,
        "current-firmware": view.release.version,
        "upgrade-firmware": view.release.version,
    }


def clock(view: View) -> Iterator[Row]:
    date, time = view.local(view.now).split(" ")
    yield {
        "time": time,
        "date": date,
        "time-zone-autodetect": "false",
        "time-zone-name": view.isp.zone_name,
        "gmt-offset": formats.gmt_offset(view.isp.zone_offset),
        "dst-active": "false",
    }


def health(view: View) -> Iterator[Row]:
    """v7 lists sensors, v6 has one flat row. Text sensors have an empty type."""
    celsius = oscillate(view, "temperature", low=38, high=52, period=7200)
    rpm = oscillate(view, "fan", low=3100, high=3600, period=1800)
    volts, state = supply(view)
    sensors = (
        ("cpu-temperature", str(int(celsius)), "C"),
        ("sfp-temperature", str(int(celsius - 6)), "C"),
        ("board-temperature1", str(int(celsius - 11)), "C"),
        ("fan-state", "ok", ""),
        ("fan1-speed", str(int(rpm) // 30 * 30), "RPM"),
        ("fan2-speed", str(int(rpm + 60) // 30 * 30), "RPM"),
        ("psu1-voltage", volts, "V"),
        ("psu1-state", state, ""),
        ("psu2-state", "ok", ""),
    )
    for number, (name, value, kind) in enumerate(sensors, start=14):
        yield {".id": f"*{number:X}", "name": name, "value": value, "type": kind}


def supply(view: View) -> tuple[str, str]:
    """Voltage and state of the first supply, which is on mains power; the second one is on the battery."""
    if view.network.is_on_battery(view.router.name):
        return "0.0", "fail"
    return f"{oscillate(view, 'volts', low=12.0, high=12.3, period=600):.1f}", "ok"


def package(view: View) -> Iterator[Row]:
    """Since 7.18 the list also has packages that are not installed: `available`, without a version."""
    yield {
        ".id": "*1",
        "name": "routeros",
        "version": view.release.version,
        "build-time": view.release.build_time,
        "scheduled": "",
        "size": "13123577",
        "available": "false",
        "disabled": "false",
    }
    not_installed = ("container", "iot", "rose-storage", "user-manager")
    for number, name in enumerate(not_installed, start=2):
        yield {
            ".id": f"*{number:X}",
            "name": name,
            "version": "",
            "scheduled": "",
            "size": str(100_000 + seeded.number(view.isp.seed, "package", name, bits=20)),
            "available": "true",
            "disabled": "true",
        }
