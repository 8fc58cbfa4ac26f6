"""Whether maintenance covers a problem: every cause must be in a window, so that work at one site hides nothing else.

Consequences need no window of their own: they belong to the same incident.
"""

from collections.abc import Sequence

from apps.incidents.rca.verdict import Problem
from apps.maintenance.coverage import ActiveWindow, covering_window
from apps.topology.graph import AGENT, LINK, SITE, Graph, Ref


def maintenance_scope(
    graph: Graph, problem: Problem, windows: Sequence[ActiveWindow]
) -> ActiveWindow | None:
    """The window over the first cause, if every cause has one."""
    windows_over_causes = (
        [_window_over(graph, cause.ref, windows) for cause in problem.causes] if windows else []
    )
    return windows_over_causes[0] if windows_over_causes and all(windows_over_causes) else None


def _window_over(graph: Graph, ref: Ref, windows: Sequence[ActiveWindow]) -> ActiveWindow | None:
    kind, pk = ref
    if kind == SITE:
        return covering_window(windows, device_id=None, site_id=pk)
    ends = [graph.device_of(ref)]
    if kind == LINK:  # work at either end takes the link down
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
