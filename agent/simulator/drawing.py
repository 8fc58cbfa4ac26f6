"""Draws the ISP: its structure is always the same, its flavour follows from the seed."""

from collections.abc import Collection
from datetime import timedelta

from agent.simulator import draws
from agent.simulator.blueprint import (
    BgpPeer,
    Blueprint,
    Link,
    LinkKind,
    Port,
    PppoeService,
    Router,
    Site,
    Vantage,
)
from agent.simulator.routeros.version import DEFAULT_V6, V6, V7, Release

GIGABIT = 1_000_000_000
LOCAL_AS = 64500  # RFC 5398: for documentation
USERNAME = "monitor"

# name, role, site; the order gives the addresses
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
    ("acc3", "access", "east"),  # dual-homed, and its subscribers' concentrator itself
)

# the end nearer the core first; the order gives the /30 networks
WIRES = (
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
CAGE = {
    role: "sfp28-" if "XS" in board else "sfp-sfpplus" for role, (board, _, _) in BOARDS.items()
}

NORTHERN = ("agg1", "bng1", "acc1")


def draw_blueprint(seed: int, *, v6: Collection[str] = DEFAULT_V6) -> Blueprint:
    """The ISP of this seed: the same on every machine and in every run. `v6` names who runs RouterOS 6."""
    region = draws.draw(seed, "region").choice(draws.REGIONS)
    return Blueprint(
        seed=seed,
        isp=draws.isp_name(seed),
        zone_name=region.zone_name,
        zone_offset=timedelta(hours=region.gmt_offset_hours),
        username=USERNAME,
        password=draws.password(seed),
        server_at="cr3",
        strangers_at="cr1",
        sites=draw_sites(seed, region),
        routers=draw_routers(seed, v6),
        links=draw_links(seed),
        bgp_peers=draw_bgp_peers(seed),
        services=(
            draw_service(seed, "bng1", "acc1", "100.64"),
            draw_service(seed, "bng2", "acc2", "100.65"),
            draw_service(seed, "acc3", "acc3", "100.66"),
        ),
        agents=agents(),
    )


def draw_sites(seed: int, region: draws.Region) -> tuple[Site, ...]:
    towns = (
        ("hub", region.hubs),
        ("north", region.norths),
        ("south", region.souths),
        ("east", region.easts),
    )
    sites = []
    for key, candidates in towns:
        town = draws.draw(seed, "site", key).choice(candidates)
        sites.append(Site(key, town.name, town.latitude, town.longitude))
    return tuple(sites)


def draw_routers(seed: int, v6: Collection[str]) -> tuple[Router, ...]:
    return tuple(
        draw_router(seed, number, name, role, site, release=V6 if name in v6 else V7)
        for number, (name, role, site) in enumerate(ROUTERS, start=1)
    )


def draw_router(
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
        serial_number=draws.serial_number(seed, name),
        os=release.version,
        age=timedelta(seconds=draws.draw(seed, "age", name).randint(9 * 86400, 250 * 86400)),
    )


def loopback(number: int) -> str:
    return f"10.255.0.{number}"


def draw_links(seed: int) -> tuple[Link, ...]:
    used: dict[str, int] = {}

    def port(device: str, address: str) -> Port:
        used[device] = used.get(device, 0) + 1
        return Port(device, f"{CAGE[ROLE[device]]}{used[device]}", address)

    internal = [
        draw_link(seed, f"{a}-{z}", kind, port(a, f"10.0.{k}.1"), port(z, f"10.0.{k}.2"))
        for k, (a, z, kind) in enumerate(WIRES, start=1)
    ]
    providers = draws.draw(seed, "providers").sample(draws.PROVIDERS, len(UPSTREAMS))
    upstream = [
        draw_link(
            seed, f"{device}-{name}", LinkKind.UPSTREAM, port(device, ours), None, provider=provider
        )
        for (device, name, _, ours, _), provider in zip(UPSTREAMS, providers, strict=True)
    ]
    return (*internal, *upstream)


def draw_link(
    seed: int, link_id: str, kind: LinkKind, a: Port, z: Port | None, *, provider: str | None = None
) -> Link:
    source = draws.draw(seed, "link", link_id)
    if kind is LinkKind.BACKHAUL:  # rented: the usual reason why a whole site goes dark
        provider = source.choice(draws.CARRIERS)
    return Link(
        id=link_id,
        kind=kind,
        capacity_bps=CAPACITY[kind],
        medium="fibre",
        provider=provider,
        latency=timedelta(microseconds=source.randint(50, 400)),
        a=a,
        z=z,
    )


def draw_bgp_peers(seed: int) -> tuple[BgpPeer, ...]:
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
            prefix_count=draws.draw(seed, "prefixes", name).randint(940_000, 1_010_000),
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
            prefix_count=draws.draw(seed, "prefixes", device, other).randint(400_000, 600_000),
        )
        for device, other in (("er1", "er2"), ("er2", "er1"))
    ]
    return (*external, *internal)


def draw_service(seed: int, device: str, access: str, pool: str) -> PppoeService:
    return PppoeService(
        device=device,
        access=access,
        name="internet",
        interface="vlan100-subscribers",
        population=draws.draw(seed, "population", device).randint(240, 720),
        pool=pool,
    )


def agents() -> tuple[Vantage, ...]:
    others = tuple(name for name, _, _ in ROUTERS if name not in NORTHERN)
    return (
        Vantage("agent-core", "127.30.0.1", "hub", "cr1", others),
        Vantage("agent-north", "127.30.0.2", "north", "agg1", ("agg1", "bng1", "acc1")),
    )
