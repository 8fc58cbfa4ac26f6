"""Values derived from the seed: names, towns, serial numbers, populations, latencies."""

import hashlib
import random
from dataclasses import dataclass

ISP_FIRST = (
    "Blue",
    "Open",
    "Clear",
    "Swift",
    "Green",
    "Prime",
    "Summit",
    "River",
    "Amber",
    "Falcon",
)
ISP_SECOND = (
    "wave Net",
    " Horizon",
    "line Fibre",
    "link Broadband",
    " Savanna Telecom",
    "path Internet",
)
PROVIDERS = (
    "Meridian Transit", "Continental Carrier", "Pelagic Networks", "Longhaul IP", "Equator Backbone",
)  # fmt: skip
CARRIERS = ("Towerline Fibre", "Ridgeway Dark Fibre", "National Grid Telecoms", "Railtrack Fibre")


@dataclass(frozen=True)
class Town:
    """A town with its coordinates."""

    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Region:
    """Region of an ISP: one time zone without daylight saving, towns at the hub and on three sides of it."""

    zone_name: str
    gmt_offset_hours: int
    hubs: tuple[Town, ...]
    norths: tuple[Town, ...]
    souths: tuple[Town, ...]
    easts: tuple[Town, ...]


REGIONS = (
    Region(
        "Africa/Nairobi",
        3,
        (Town("Nairobi", -1.2864, 36.8172), Town("Thika", -1.0333, 37.0693)),
        (Town("Nanyuki", 0.0167, 37.0728), Town("Isiolo", 0.3546, 37.5822)),
        (Town("Voi", -3.3961, 38.5561), Town("Namanga", -2.5433, 36.7906)),
        (Town("Garissa", -0.4532, 39.6461), Town("Mwingi", -0.9344, 38.0600)),
    ),
    Region(
        "America/Bogota",
        -5,
        (Town("Bogota", 4.7110, -74.0721), Town("Soacha", 4.5794, -74.2168)),
        (Town("Tunja", 5.5353, -73.3678), Town("Chiquinquira", 5.6167, -73.8167)),
        (Town("Neiva", 2.9273, -75.2819), Town("Girardot", 4.3009, -74.8061)),
        (Town("Yopal", 5.3378, -72.3959), Town("Villavicencio", 4.1420, -73.6266)),
    ),
    Region(
        "Asia/Dhaka",
        6,
        (Town("Dhaka", 23.8103, 90.4125), Town("Narayanganj", 23.6238, 90.5000)),
        (Town("Mymensingh", 24.7471, 90.4203), Town("Sherpur", 25.0189, 90.0175)),
        (Town("Barishal", 22.7010, 90.3535), Town("Madaripur", 23.1641, 90.1897)),
        (Town("Brahmanbaria", 23.9571, 91.1116), Town("Cumilla", 23.4607, 91.1809)),
    ),
    Region(
        "Europe/Istanbul",
        3,
        (Town("Ankara", 39.9334, 32.8597), Town("Kirikkale", 39.8468, 33.5153)),
        (Town("Kastamonu", 41.3887, 33.7827), Town("Karabuk", 41.2061, 32.6204)),
        (Town("Konya", 37.8746, 32.4932), Town("Karaman", 37.1811, 33.2222)),
        (Town("Sivas", 39.7477, 37.0179), Town("Yozgat", 39.8181, 34.8147)),
    ),
)


def rng(seed: int, *labels: object) -> random.Random:
    """A random generator for each label: values of one label do not depend on others."""
    return random.Random("/".join(map(str, (seed, *labels))))  # test data, not secrets


def number(seed: int, *labels: object, bits: int = 32) -> int:
    """A fixed number for a label, cheap enough for every subscriber."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *labels))).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> (64 - bits)


def mac_address(seed: int, *labels: object, vendor: str = "48:A9:8A") -> str:
    """A MAC address in the vendor's range, upper case as RouterOS prints it."""
    low = number(seed, "mac", *labels, bits=24)
    return f"{vendor}:{low >> 16:02X}:{low >> 8 & 0xFF:02X}:{low & 0xFF:02X}"


def serial_number(seed: int, device: str) -> str:
    """Eleven characters in the format of MikroTik serial numbers."""
    alphabet = "0123456789ABCDEFGHJKMNPRSTVWXYZ"
    return "H" + "".join(rng(seed, "serial", device).choices(alphabet, k=10))


def password(seed: int) -> str:
    """The monitor user's password on every router. It protects nothing: the network is simulated."""
    return "sim-" + hashlib.sha256(f"password/{seed}".encode()).hexdigest()[:20]


def isp_name(seed: int) -> str:
    """The name of the ISP."""
    generator = rng(seed, "isp")
    return generator.choice(ISP_FIRST) + generator.choice(ISP_SECOND)
