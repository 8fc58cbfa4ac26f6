"""What each piece of evidence is worth, in log-odds. A table, not magic numbers in code.

First values, set by reasoning on the shapes of operator networks; the failure suite will calibrate them. A weight of
1.0 multiplies the odds by 2.7. Equal evidence repeated is not independent (one cut silences all routers behind it at
once), so ``n`` symptoms of a kind count as ``log2(1 + n)``.
"""

from datetime import timedelta
from types import MappingProxyType

#: How likely a thing fails at all, compared with a link between two sites.
PRIOR = MappingProxyType(
    {
        "link": 0.0,
        "link_within_site": -1.5,
        "device": -1.2,
        "site": -2.0,
        "power": -2.0,
        "service": -0.5,
        "bgp_peer": -0.7,
        "ospf_neighbor": -2.0,
        "interface": -1.5,
        "agent": -0.7,
        "probe_target": -1.0,
        "symptom": -0.2,
    }
)

#: A symptom that the cause explains.
FOR = MappingProxyType(
    {
        "interface_down": 2.0,
        "adjacency_down": 1.0,
        "bgp_down": 0.8,
        "unreachable": 1.0,
        "agent_missing": 0.6,
        "management_plane": 0.4,
        "sessions_lost": 0.8,
        # Reported by the router itself and specific to power: two at one site are no coincidence.
        "power_lost": 3.5,
        "soft": 0.5,
    }
)
#: Supplies of one site that fail within this time share a feed: they are polled once a minute or less often.
SAME_FEED = timedelta(minutes=10)
#: A configuration change shortly before: most outages begin with a change.
CHANGED = 1.2
#: How long before.
CHANGED_BEFORE = timedelta(minutes=15)
#: Symptoms that no configuration change causes.
NOT_CONFIGURED = frozenset({"power_lost"})
#: A symptom that has not lasted long enough to fire yet.
PENDING_SHARE = 0.5

#: Something that works although it cannot if the cause is right.
AGAINST = MappingProxyType(
    {
        "itself_answers": 6.0,
        "answers_behind": 4.0,
        "interface_up": 3.0,
        "adjacency_full": 3.0,
    }
)

#: A symptom of the same problem that the cause leaves unexplained.
UNEXPLAINED = 2.5
#: Each further simultaneous failure that a hypothesis needs.
COINCIDENCE = 1.5
#: A cause outside the graph: the alternative of every verdict.
UNKNOWN_CAUSE = -1.5
#: Upper limit: no verdict is certain.
MAX_CONFIDENCE = 0.99

#: How long a state may stay up after its link has failed: dead timers of the protocols.
GRACE = MappingProxyType(
    {
        "device.up": timedelta(seconds=2),
        "device.api.up": timedelta(seconds=2),
        "interface.oper_up": timedelta(seconds=2),
        "ospf.neighbor.up": timedelta(seconds=42),
        "bgp.peer.up": timedelta(seconds=182),
    }
)
#: Effects do not come before their causes, but for the spread of polling (probes and ports, each 10 s or less).
POLLING_SPREAD = timedelta(seconds=15)
