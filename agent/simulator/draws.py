"""Everything a seed decides: names, places, serial numbers, populations, latencies."""

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
class Place:
    """A town on the map."""

    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Region:
    """Where an ISP works: one zone without daylight saving, towns around the hub and on three sides."""

    zone_name: str
    gmt_offset_hours: int
    hubs: tuple[Place, ...]
    norths: tuple[Place, ...]
    souths: tuple[Place, ...]
    easts: tuple[Place, ...]


REGIONS = (
    Region(
        "Africa/Nairobi",
        3,
        (Place("Nairobi", -1.2864, 36.8172), Place("Thika", -1.0333, 37.0693)),
        (Place("Nanyuki", 0.0167, 37.0728), Place("Isiolo", 0.3546, 37.5822)),
        (Place("Voi", -3.3961, 38.5561), Place("Namanga", -2.5433, 36.7906)),
        (Place("Garissa", -0.4532, 39.6461), Place("Mwingi", -0.9344, 38.0600)),
    ),
    Region(
        "America/Bogota",
        -5,
        (Place("Bogota", 4.7110, -74.0721), Place("Soacha", 4.5794, -74.2168)),
        (Place("Tunja", 5.5353, -73.3678), Place("Chiquinquira", 5.6167, -73.8167)),
        (Place("Neiva", 2.9273, -75.2819), Place("Girardot", 4.3009, -74.8061)),
        (Place("Yopal", 5.3378, -72.3959), Place("Villavicencio", 4.1420, -73.6266)),
    ),
    Region(
        "Asia/Dhaka",
        6,
        (Place("Dhaka", 23.8103, 90.4125), Place("Narayanganj", 23.6238, 90.5000)),
        (Place("Mymensingh", 24.7471, 90.4203), Place("Sherpur", 25.0189, 90.0175)),
        (Place("Barishal", 22.7010, 90.3535), Place("Madaripur", 23.1641, 90.1897)),
        (Place("Brahmanbaria", 23.9571, 91.1116), Place("Cumilla", 23.4607, 91.1809)),
    ),
    Region(
        "Europe/Istanbul",
        3,
        (Place("Ankara", 39.9334, 32.8597), Place("Kirikkale", 39.8468, 33.5153)),
        (Place("Kastamonu", 41.3887, 33.7827), Place("Karabuk", 41.2061, 32.6204)),
        (Place("Konya", 37.8746, 32.4932), Place("Karaman", 37.1811, 33.2222)),
        (Place("Sivas", 39.7477, 37.0179), Place("Yozgat", 39.8181, 34.8147)),
    ),
)


def draw(seed: int, *labels: object) -> random.Random:
    """A source of its own for each label: what is drawn for one thing never shifts another."""
    return random.Random("/".join(map(str, (seed, *labels))))  # noqa: S311  # scenery, not secrets


def number(seed: int, *labels: object, bits: int = 32) -> int:
    """A fixed number for a label, cheap enough to draw for every subscriber."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *labels))).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> (64 - bits)


def mac_address(seed: int, *labels: object, vendor: str = "48:A9:8A") -> str:
    """A MAC address in the vendor's range, upper case as RouterOS prints it."""
    low = number(seed, "mac", *labels, bits=24)
    return f"{vendor}:{low >> 16:02X}:{low >> 8 & 0xFF:02X}:{low & 0xFF:02X}"


def serial_number(seed: int, device: str) -> str:
    """Eleven characters that look like the ones on MikroTik labels."""
    alphabet = "0123456789ABCDEFGHJKMNPRSTVWXYZ"
    return "H" + "".join(draw(seed, "serial", device).choices(alphabet, k=10))


def password(seed: int) -> str:
    """The monitor user's password on every router. Of a modelled network: nothing worth guarding."""
    return "sim-" + hashlib.sha256(f"password/{seed}".encode()).hexdigest()[:20]


def isp_name(seed: int) -> str:
    """What the ISP calls itself."""
    source = draw(seed, "isp")
    return source.choice(ISP_FIRST) + source.choice(ISP_SECOND)
