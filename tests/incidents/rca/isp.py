"""A small ISP for tests of verdicts: two PoPs on a core ring, with helpers to build symptoms."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from apps.core.messages import Message
from apps.incidents.rca.snapshot import ConfigChange, Sample, Snapshot, Symptom
from apps.topology.graph import (
    AgentLocation,
    Device,
    Graph,
    Interface,
    Link,
    OspfNeighbor,
    Ref,
    Service,
    Site,
    build_graph,
)

SPACE = UUID("0f4a2a0e-6a0f-4f51-9a53-4f0b8d1a9f11")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LINKS = (
    *("cr1-cr2", "cr2-cr3", "cr3-cr4", "cr4-cr1"),
    *("er1-cr1", "er2-cr3", "cr2-agg1", "cr4-agg2"),
    *("agg1-bng1", "agg1-acc1", "agg2-bng2", "agg2-acc2"),
)
SITES = {"agg1": "north", "bng1": "north", "acc1": "north"}
SITES |= {"agg2": "south", "bng2": "south", "acc2": "south"}


def pk(name: str) -> UUID:
    return uuid5(SPACE, name)


def dev(name: str) -> Ref:
    return ("device", pk(name))


def link_ref(name: str) -> Ref:
    return ("link", pk(name))


def port(device: str, link: str) -> Ref:
    return ("interface", pk(f"{device}:{link}"))


def adjacency(device: str, link: str) -> Ref:
    return ("ospf_neighbor", pk(f"{device}~{link}"))


def isp(links: tuple[str, ...] = LINKS) -> Graph:
    pairs = [(name, *name.split("-")) for name in links]
    names = sorted({end for _, a, z in pairs for end in (a, z)})
    ends = [(link, near, far) for link, a, z in pairs for near, far in ((a, z), (z, a))]
    site_names = {name: SITES.get(name, "hub") for name in names}
    return build_graph(
        sites=[Site(pk(site), site) for site in sorted(set(site_names.values()))],
        devices=[Device(pk(name), name, "core", pk(site_names[name])) for name in names],
        interfaces=[Interface(port(h, link)[1], pk(h), link, pk(link)) for link, h, _ in ends],
        links=[
            *(Link(pk(link), link, "ring", pk(a), pk(z)) for link, a, z in pairs),
            Link(pk("transit-a"), "transit-a", "upstream", pk("er1"), None),
            Link(pk("transit-b"), "transit-b", "upstream", pk("er2"), None),
        ],
        ospf_neighbors=[
            OspfNeighbor(adjacency(h, link)[1], pk(h), far, "0", far, "", pk(link), pk(far))
            for link, h, far in ends
        ],
        services=[
            Service(pk(f"pppoe-{b}"), f"pppoe-{b}", "pppoe", pk(b)) for b in names if "bng" in b
        ],
        agents=[
            AgentLocation(pk("agent-core"), "agent-core", pk("cr1"), tuple(map(pk, names))),
            AgentLocation(pk("agent-north"), "agent-north", pk("agg1")),
        ],
    )


def symptom(kind: str, ref: Ref, *, seconds: float = 0, state: str = "firing", **more) -> Symptom:
    since = NOON + timedelta(seconds=seconds)
    fields = {
        "alert_id": uuid5(SPACE, f"{kind}{ref}{seconds}"),
        "rule": kind,
        "severity": "critical",
        "fired_at": None if state == "pending" else since + timedelta(seconds=10),
        "clear_since": None,
        "summary": Message("alerts.summary.text", {"text": f"{kind} {ref[0]}"}),
    }
    return Symptom(kind=kind, ref=ref, state=state, since=since, **(fields | more))


def sample_up(ref: Ref, metric: str, *, seconds: float = 20) -> Sample:
    return Sample(ref, metric, NOON + timedelta(seconds=seconds), 1.0)


def sample_down(ref: Ref, metric: str, *, seconds: float = 20) -> Sample:
    return Sample(ref, metric, NOON + timedelta(seconds=seconds), 0.0)


def snapshot(
    symptoms: list[Symptom],
    *,
    graph: Graph | None = None,
    alive: tuple[str, ...] = ("agent-core",),
    unreachable: tuple[str, ...] = (),
    samples: tuple[Sample, ...] = (),
    seconds: float = 25,
    changes: Iterable[ConfigChange] = (),
) -> Snapshot:
    """A snapshot shortly after noon: every router answers except the unreachable ones."""
    graph = graph or isp()
    answering = [
        sample_up(dev(d.name), "device.up") for d in graph.devices if d.name not in unreachable
    ]
    return Snapshot.make(
        at=NOON + timedelta(seconds=seconds),
        graph=graph,
        alive_agents=frozenset(map(pk, alive)),
        symptoms=symptoms,
        samples=[*answering, *samples],
        changes=changes,
    )


def backhaul_cut(pop: str = "north") -> tuple[list[Symptom], tuple[str, ...]]:
    """The symptoms of a cut uplink of a PoP, and the routers that become unreachable."""
    near, number = ("cr2", "1") if pop == "north" else ("cr4", "2")
    link = f"{near}-agg{number}"
    unreachable = (f"agg{number}", f"bng{number}", f"acc{number}")
    symptoms = [
        symptom("interface_down", port(near, link)),
        symptom("adjacency_down", adjacency(near, link)),
    ]
    symptoms += [symptom("unreachable", dev(name), seconds=3) for name in unreachable]
    if pop == "north":
        symptoms.append(symptom("agent_missing", ("agent", pk("agent-north")), seconds=8))
    return symptoms, unreachable


def ring_cut(link: str = "cr1-cr2") -> list[Symptom]:
    a, z = link.split("-")
    return [
        *(symptom("interface_down", port(end, link)) for end in (a, z)),
        *(symptom("adjacency_down", adjacency(end, link)) for end in (a, z)),
    ]
