"""The duration of a verdict on a large outage: 5,000 routers, and no single failure that explains it.

Pure: no database. PoPs lose their backhauls, most routers behind them are unreachable, and some still respond, which
contradicts every cause. Each round computes the verdict again; all must be identical.
"""

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from uuid import UUID, uuid5

from apps.core.messages import Message
from apps.incidents.rca.snapshot import Sample, Snapshot, Symptom
from apps.incidents.rca.verdict import Verdict, reach_verdict
from apps.lab.bench.figures import BenchOptions, Figure, WrongResult
from apps.topology.graph import (
    AgentLocation,
    Device,
    Graph,
    Interface,
    Link,
    OspfNeighbor,
    Ref,
    Site,
    build_graph,
)

SPACE = UUID("7c1f7c52-9b1d-4f0e-8a53-1d5b6a0c2e90")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DEVICES, CORES, UNREACHABLE = 5_000, 20, 1_365
#: Share of unreachable routers behind a lost backhaul; the others still respond.
UNREACHABLE_SHARE = 0.93
SECOND_UPLINK_EVERY = 3
MAX_SECONDS = 2.0


def _pk(name: str) -> UUID:
    return uuid5(SPACE, name)


@dataclass
class _Network:
    """Routers by PoP, and links as pairs of names."""

    pops: dict[str, list[str]]
    links: list[tuple[str, str]]
    site_of: dict[str, str]

    @classmethod
    def draw(cls, rng: random.Random) -> "_Network":
        cores = [f"cr{number}" for number in range(CORES)]
        network = cls({}, list(zip(cores, cores[1:] + cores[:1], strict=True)), {})
        network.links.append(("er1", cores[0]))
        network.site_of = dict.fromkeys([*cores, "er1"], "hub")
        while len(network.site_of) < DEVICES:
            network._add_pop(cores, rng)
        return network

    def _add_pop(self, cores: list[str], rng: random.Random) -> None:
        number = len(self.pops)
        first = f"agg{number}"
        backhauls = rng.sample(cores, 1 if number % SECOND_UPLINK_EVERY else 2)
        self.links += [(core, first) for core in backhauls]
        mine = [first]
        for index in range(rng.randrange(10, 40)):
            name = f"acc{number}x{index}"
            self.links.append((rng.choice(mine[-6:]), name))
            mine.append(name)
        self.pops[first] = mine
        self.site_of |= dict.fromkeys(mine, f"pop{number}")

    def graph(self) -> Graph:
        ends = [(f"{a}-{z}", here, far) for a, z in self.links for here, far in ((a, z), (z, a))]
        names = sorted(self.site_of)
        return build_graph(
            sites=[Site(_pk(site), site) for site in sorted(set(self.site_of.values()))],
            devices=[Device(_pk(name), name, "core", _pk(self.site_of[name])) for name in names],
            interfaces=[
                Interface(_pk(f"{here}:{link}"), _pk(here), link, _pk(link))
                for link, here, _ in ends
            ],
            links=[
                *(Link(_pk(f"{a}-{z}"), f"{a}-{z}", "ring", _pk(a), _pk(z)) for a, z in self.links),
                Link(_pk("transit"), "transit", "upstream", _pk("er1"), None),
            ],
            ospf_neighbors=[
                OspfNeighbor(
                    _pk(f"{here}~{link}"), _pk(here), far, "0", far, "", _pk(link), _pk(far)
                )
                for link, here, far in ends
            ],
            agents=[AgentLocation(_pk("agent"), "agent", _pk("cr0"), tuple(map(_pk, names)))],
        )


def _symptom(kind: str, ref: Ref, seconds: float) -> Symptom:
    since = NOON + timedelta(seconds=seconds)
    return Symptom(
        alert_id=uuid5(SPACE, f"{kind}{ref}"),
        rule=kind,
        kind=kind,
        ref=ref,
        state="firing",
        severity="critical",
        since=since,
        fired_at=since + timedelta(seconds=10),
        clear_since=None,
        summary=Message("alerts.summary.text", {"text": kind}),
    )


def contradictory_outage(seed: int) -> tuple[Snapshot, int]:
    """The snapshot, and its number of unreachable routers."""
    rng = random.Random(seed)
    network = _Network.draw(rng)
    graph, symptoms, unreachable = network.graph(), list[Symptom](), set[str]()
    for first in rng.sample(sorted(network.pops), len(network.pops)):
        if len(unreachable) >= UNREACHABLE:
            break
        for core, _ in (link for link in network.links if link[1] == first):
            link = f"{core}-{first}"
            symptoms.append(_symptom("interface_down", ("interface", _pk(f"{core}:{link}")), 0))
            symptoms.append(_symptom("adjacency_down", ("ospf_neighbor", _pk(f"{core}~{link}")), 0))
        candidates = [name for name in network.pops[first] if rng.random() < UNREACHABLE_SHARE]
        for name in candidates[: UNREACHABLE - len(unreachable)]:
            unreachable.add(name)
            symptoms.append(_symptom("unreachable", ("device", _pk(name)), rng.uniform(0, 8)))
    answering = [
        Sample(("device", _pk(name)), "device.up", NOON + timedelta(seconds=20), 1.0)
        for name in network.site_of
        if name not in unreachable
    ]
    snapshot = Snapshot.make(
        at=NOON + timedelta(seconds=25),
        graph=graph,
        alive_agents=frozenset({_pk("agent")}),
        symptoms=symptoms,
        samples=answering,
    )
    return snapshot, len(unreachable)


def measure_rca(options: BenchOptions) -> list[Figure]:
    """Seconds of processor time for one verdict. Raises WrongResult when two rounds differ or a symptom is left out."""
    snapshot, unreachable = contradictory_outage(options.seed)
    causes = 0
    times, digests = [], set()
    for number in range(options.rounds):
        began = time.process_time()
        verdict = reach_verdict(snapshot)
        times.append(time.process_time() - began)
        digests.add(verdict.digest)
        causes = _count_causes(snapshot, verdict)
        options.echo(f"round {number + 1}: {times[-1]:.2f} s, {causes} causes")
    if len(digests) != 1:
        raise WrongResult("The same snapshot gave different verdicts.")
    return [
        Figure("routers", len(snapshot.graph.devices), ""),
        Figure("unreachable", unreachable, ""),
        Figure("causes found", causes, ""),
        Figure("verdict, processor time (median)", median(times), "s", MAX_SECONDS),
    ]


def _count_causes(snapshot: Snapshot, verdict: Verdict) -> int:
    """The number of causes. Raises WrongResult unless every symptom belongs to exactly one problem."""
    explained = [row.alert_id for problem in verdict.problems for row in problem.symptoms]
    if sorted(explained) != sorted(row.alert_id for row in snapshot.symptoms):
        raise WrongResult("A symptom has no problem, or has two.")
    return sum(len(problem.causes) for problem in verdict.problems)
