"""Generates the ISP: its structure is fixed, its names and values are derived from the seed."""

from collections.abc import Collection
from datetime import timedelta

from agent.simulator import seeded
from agent.simulator.blueprint import (
    AgentPlacement,
    BgpPeer,
    Blueprint,
    Link,
    LinkKind,
    Port,
    PppoeService,
    Router,
    Site,
)
from agent.simulator.routeros.version import DEFAULT_V6, V6, V7, Release

GIGABIT = 1_000_000_000
LOCAL_AS = 64500  # RFC 5398: for documentation
USERNAME = "monitor"

# name, role, site; the order determines the addresses
ROUTERS = (
    ("cr1", "core", "hub"),
    ("cr2", "core", "hub"),
    ("cr3", "core", "hub"),
    ("cr4", "core", "hub"),
    ("er1", "edge", "hub"),
    ("er2", "edge", "hub"),
    ("agg1", "agg", "north"),
    ("bng1", "bng", "north"),
    ("acc1", "access", "north"),
    ("agg2", "agg", "south"),
    ("bng2", "bng", "south"),
    ("acc2", "access", "south"),
    ("acc3", "access", "east"),  # dual-homed, and a concentrator itself
)

# the end nearer to the core first; the order determines the /30 networks
LINKS = (
    ("cr1", "cr2", LinkKind.CORE),
    ("cr2", "cr3", LinkKind.CORE),
    ("cr3", "cr4", LinkKind.CORE),
    ("cr4", "cr1", LinkKind.CORE),
    ("cr1", "er1", LinkKind.EDGE),
    ("cr3", "er2", LinkKind.EDGE),
    ("cr2", "agg1", LinkKind.BACKHAUL),
    ("cr4", "agg2", LinkKind.BACKHAUL),
    ("agg1", "bng1", LinkKind.ACCESS),
    ("agg1", "acc1", LinkKind.ACCESS),
    ("agg2", "bng2", LinkKind.ACCESS),
    ("agg2", "acc2", LinkKind.ACCESS),
    ("cr2", "acc3", LinkKind.ACCESS),
    ("cr4", "acc3", LinkKind.ACCESS),
)

# router, upstream, its AS, our address, its address (RFC 5737: for documentation)
UPSTREAMS = (
    ("er1", "upstream-a", 64496, "192.0.2.2", "192.0.2.1"),
    ("er2", "upstream-b", 64497, "198.51.100.2", "198.51.100.1"),
)

CAPACITY = {
    LinkKind.CORE: 25 * GIGABIT,
    LinkKind.EDGE: 25 * GIGABIT,
    LinkKind.BACKHAUL: 10 * GIGABIT,
    LinkKind.ACCESS: 10 * GIGABIT,
    LinkKind.UPSTREAM: 10 * GIGABIT,
}

# board, cores, memory
BOARDS = {
    "core": ("CCR2216-1G-12XS-2XQ", 16, 16 << 30),
    "edge": ("CCR2216-1G-12XS-2XQ", 16, 16 << 30),
    "agg": ("CCR2116-12G-4S+", 16, 16 << 30),
    "bng": ("CCR2116-12G-4S+", 16, 16 << 30),
    "access": ("CRS317-1G-16S+", 2, 1 << 30),
}

ROLE = {name: role for name, role, _ in ROUTERS}
PORT_PREFIX = {
    role: "sfp28-" if "XS" in board else "sfp-sfpplus" for role, (board, _, _) in BOARDS.items()
}

NORTHERN = ("agg1", "bng1", "acc1")


def generate_blueprint(seed: int, *, v6: Collection[str] = DEFAULT_V6) -> Blueprint:
    """The ISP of this seed, the same on every machine. `v6` names the routers that run RouterOS 6."""
    region = seeded.rng(seed, "region").choice(seeded.REGIONS)
    return Blueprint(
        seed=seed,
        isp=seeded.isp_name(seed),
        zone_name=region.zone_name,
        zone_offset=timedelta(hours=region.gmt_offset_hours),
        username=USERNAME,
        password=seeded.password(seed),
        server_at="cr3",
        unknown_sources_at="cr1",
        sites=generate_sites(seed, region),
        routers=generate_routers(seed, v6),
        links=generate_links(seed),
        bgp_peers=generate_bgp_peers(seed),
        services=(
            generate_service(seed, "bng1", "acc1", "100.64"),
            generate_service(seed, "bng2", "acc2", "100.65"),
            generate_service(seed, "acc3", "acc3", "100.66"),
        ),
        agents=agents(),
    )


def generate_sites(seed: int, region: seeded.Region) -> tuple[Site, ...]:
    towns = (
        ("hub", region.hubs),
        ("north", region.norths),
        ("south", region.souths),
        ("east", region.easts),
    )
    sites = []
    for key, candidates in towns:
        town = seeded.rng(seed, "site", key).choice(candidates)
        sites.append(Site(key, town.name, town.latitude, town.longitude))
    return tuple(sites)


def generate_routers(seed: int, v6: Collection[str]) -> tuple[Router, ...]:
    return tuple(
        generate_router(seed, number, name, role, site, release=V6 if name in v6 else V7)
        for number, (name, role, site) in enumerate(ROUTERS, start=1)
    )


def generate_router(
    seed: int, number: int, name: str, role: str, site: str, *, release: Release
) -> Router:
    board, cpu_count, memory_bytes = BOARDS[role]
    return Router(
        name=name,
        role=role,
        site=site,
        address=f"127.20.0.{number}",
        router_id=loopback(number),
        number=number,
        board=board,
        cpu_count=cpu_count,
        memory_bytes=memory_bytes,
        serial_number=seeded.serial_number(seed, name),
        os=release.version,
        age=timedelta(seconds=seeded.rng(seed, "age", name).randint(9 * 86400, 250 * 86400)),
    )


def loopback(number: int) -> str:
    return f"10.255.0.{number}"


def generate_links(seed: int) -> tuple[Link, ...]:
    used: dict[str, int] = {}

    def port(device: str, address: str) -> Port:
        used[device] = used.get(device, 0) + 1
        return Port(device, f"{PORT_PREFIX[ROLE[device]]}{used[device]}", address)

    internal = [
        generate_link(seed, f"{a}-{z}", kind, port(a, f"10.0.{k}.1"), port(z, f"10.0.{k}.2"))
        for k, (a, z, kind) in enumerate(LINKS, start=1)
    ]
    providers = seeded.rng(seed, "providers").sample(seeded.PROVIDERS, len(UPSTREAMS))
    upstream = [
        generate_link(
            seed, f"{device}-{name}", LinkKind.UPSTREAM, port(device, ours), None, provider=provider
        )
        for (device, name, _, ours, _), provider in zip(UPSTREAMS, providers, strict=True)
    ]
    return (*internal, *upstream)


def generate_link(
    seed: int, link_id: str, kind: LinkKind, a: Port, z: Port | None, *, provider: str | None = None
) -> Link:
    rng = seeded.rng(seed, "link", link_id)
    if kind is LinkKind.BACKHAUL:  # leased: the usual cause of an outage of a whole site
        provider = rng.choice(seeded.CARRIERS)
    return Link(
        id=link_id,
        kind=kind,
        capacity_bps=CAPACITY[kind],
        medium="fibre",
        provider=provider,
        latency=timedelta(microseconds=rng.randint(50, 400)),
        a=a,
        z=z,
    )


def generate_bgp_peers(seed: int) -> tuple[BgpPeer, ...]:
    numbers = {name: number for number, (name, _, _) in enumerate(ROUTERS, start=1)}
    external = [
        BgpPeer(
            device=device,
            name=name,
            kind="ebgp",
            local_address=ours,
            local_as=LOCAL_AS,
            remote_address=theirs,
            remote_as=remote_as,
            remote_device=None,
            link=f"{device}-{name}",
            prefix_count=seeded.rng(seed, "prefixes", name).randint(940_000, 1_010_000),
        )
        for device, name, remote_as, ours, theirs in UPSTREAMS
    ]
    internal = [
        BgpPeer(
            device=device,
            name=f"ibgp-{other}",
            kind="ibgp",
            local_address=loopback(numbers[device]),
            local_as=LOCAL_AS,
            remote_address=loopback(numbers[other]),
            remote_as=LOCAL_AS,
            remote_device=other,
            link=None,
            prefix_count=seeded.rng(seed, "prefixes", device, other).randint(400_000, 600_000),
        )
        for device, other in (("er1", "er2"), ("er2", "er1"))
    ]
    return (*external, *internal)


def generate_service(seed: int, device: str, access: str, pool: str) -> PppoeService:
    return PppoeService(
        device=device,
        access=access,
        name="internet",
        interface="vlan100-subscribers",
        population=seeded.rng(seed, "population", device).randint(240, 720),
        pool=pool,
    )


def agents() -> tuple[AgentPlacement, ...]:
    others = tuple(name for name, _, _ in ROUTERS if name not in NORTHERN)
    return (
        AgentPlacement("agent-core", "127.30.0.1", "hub", "cr1", others),
        AgentPlacement("agent-north", "127.30.0.2", "north", "agg1", ("agg1", "bng1", "acc1")),
    )
