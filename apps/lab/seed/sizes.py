"""Sizes and names of the generated networks. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType


@dataclass(frozen=True)
class Size:
    """One generated ISP."""

    slug: str
    title: str
    #: Of its users' email addresses.
    domain: str
    as_number: int
    regions: int
    pops: int
    devices: int
    ports_per_device: int
    incidents: int
    open_incidents: int
    #: How far back its history goes.
    days: int
    #: Devices with a day of samples for charts; the others have their latest samples only.
    charted: int

    @property
    def history(self) -> timedelta:
        return timedelta(days=self.days)


SIZES = MappingProxyType(
    {
        "small": Size(
            slug="riverbend",
            title="Riverbend Internet",
            domain="riverbend.example",
            as_number=64_510,
            regions=3,
            pops=9,
            devices=60,
            ports_per_device=14,
            incidents=80,
            open_incidents=6,
            days=21,
            charted=16,
        ),
        "large": Size(
            slug="meridian",
            title="Meridian Networks",
            domain="meridian.example",
            as_number=64_500,
            regions=20,
            pops=480,
            devices=5_000,
            ports_per_device=20,
            incidents=10_000,
            open_incidents=24,
            days=90,
            charted=40,
        ),
    }
)

#: The other tenant of the same installation.
NEIGHBOR = Size(
    slug="lakeside",
    title="Lakeside Fibre",
    domain="lakeside.example",
    as_number=64_498,
    regions=1,
    pops=2,
    devices=12,
    ports_per_device=10,
    incidents=6,
    open_incidents=1,
    days=7,
    charted=4,
)

#: Cities with their coordinates (WGS 84) and code: each is the hub of a region.
CITIES = (
    ("Madrid", "MAD", 40.4168, -3.7038),
    ("Barcelona", "BCN", 41.3874, 2.1686),
    ("Valencia", "VLC", 39.4699, -0.3763),
    ("Sevilla", "SVQ", 37.3891, -5.9845),
    ("Zaragoza", "ZAZ", 41.6488, -0.8891),
    ("Málaga", "AGP", 36.7213, -4.4214),
    ("Murcia", "MJV", 37.9922, -1.1307),
    ("Bilbao", "BIO", 43.2630, -2.9350),
    ("Valladolid", "VLL", 41.6523, -4.7245),
    ("Córdoba", "ODB", 37.8882, -4.7794),
    ("Vigo", "VGO", 42.2406, -8.7207),
    ("Gijón", "GIJ", 43.5322, -5.6611),
    ("Granada", "GRX", 37.1773, -3.5986),
    ("A Coruña", "LCG", 43.3623, -8.4115),
    ("Burgos", "RGS", 42.3439, -3.6969),
    ("Salamanca", "SLM", 40.9701, -5.6635),
    ("Badajoz", "BJZ", 38.8794, -6.9707),
    ("Almería", "LEI", 36.8340, -2.4637),
    ("Pamplona", "PNA", 42.8125, -1.6458),
    ("León", "LEN", 42.5987, -5.5671),
)
DISTRICTS = (
    *("Norte", "Sur", "Este", "Oeste", "Cerro Alto", "Puerto", "Estación", "Mercado"),
    *("Universidad", "La Loma", "El Pinar", "Río Viejo", "Las Torres", "Santa Ana"),
    *("San Martín", "Villanueva", "La Vega", "Monte Real", "Polígono", "Depósito"),
    *("Mirador", "La Ermita", "Los Olivos", "El Molino"),
)
#: Fictitious carriers with documentation AS numbers.
CARRIERS = (("Arkon", 64_496), ("Northlight", 64_497), ("TransIberia", 64_499))
BOARDS = MappingProxyType(
    {
        "core": ("CCR2216-1G-12XS-2XQ",),
        "edge": ("CCR2216-1G-12XS-2XQ", "CCR2116-12G-4S+"),
        "agg": ("CCR2116-12G-4S+", "CCR2004-1G-12S+2XS"),
        "bng": ("CCR2116-12G-4S+", "CCR2216-1G-12XS-2XQ"),
        "access": ("RB5009UG+S+", "CRS317-1G-16S+", "netPower 16P", "hEX S"),
    }
)
VERSIONS = ("7.16.2 (stable)", "7.15.3 (stable)", "7.16.1 (stable)", "6.49.17 (long-term)")
