"""Whether announced work covers an outage: every one of its causes, so that work on one site hides nothing elsewhere.

What is behind a cause needs no window of its own: as a consequence it stands under the same incident.
"""

from collections.abc import Sequence

from apps.incidents.rca.verdict import Trouble
from apps.maintenance.coverage import ActiveWindow, covering_window
from apps.topology.graph import AGENT, LINK, SITE, Graph, Ref


def window_over(
    graph: Graph, trouble: Trouble, windows: Sequence[ActiveWindow]
) -> ActiveWindow | None:
    """The window over the first cause, if every cause has one."""
    found = [_over(graph, cause.ref, windows) for cause in trouble.causes] if windows else []
    return found[0] if found and all(found) else None


def _over(graph: Graph, ref: Ref, windows: Sequence[ActiveWindow]) -> ActiveWindow | None:
    kind, pk = ref
    if kind == SITE:
        return covering_window(windows, device_id=None, site_id=pk)
    ends = [graph.device_of(ref)]
    if kind == LINK:  # switched off at either end, a wire is dark
        link = graph.link_by_id.get(pk)
        ends = [link.a_device_id, link.z_device_id] if link else []
    elif kind == AGENT:
        ends = [agent.device_id for agent in graph.agents if agent.id == pk]
    for device_id in ends:
        device = graph.device_by_id.get(device_id) if device_id else None
        if device is None:
            continue
        window = covering_window(windows, device_id=device.id, site_id=device.site_id)
        if window is not None:
            return window
    return None
