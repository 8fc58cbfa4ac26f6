"""The impact graph of an incident, and the chart of affected metrics."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.authorization.access import Access
from apps.charts import site_view, topology_view
from apps.charts.time_series import Chart, Line, Mark, span_for, total_of
from apps.charts.topology_view import Overlay, TopologyView
from apps.incidents import selectors
from apps.incidents.models import Incident, TimelineEntry
from apps.inventory.device_entities import devices_of_entities
from apps.inventory.models import Link
from apps.inventory.profiles import polling_profile
from apps.inventory.selectors import visible_devices, visible_site_names
from apps.telemetry.queries import BucketedRange, rates_of
from apps.topology.selectors import NetworkMap, network_map

UP, SESSIONS = "device.up", "pppoe.sessions.active"
RX, TX = "interface.rx_bytes_total", "interface.tx_bytes_total"
#: With more routers than this the graph shows sites.
MAX_DEVICES = 40
BEFORE, AFTER = timedelta(minutes=20), timedelta(minutes=10)
#: Timeline entries that get a numbered annotation on the chart.
ANNOTATED_KINDS = frozenset({"opened", "verdict", "acknowledged", "closed", "note", "assigned"})
MAX_ANNOTATIONS = 9
_PLACEHOLDER_ID = "00000000-0000-0000-0000-000000000000"


def annotation_numbers(entries: list[TimelineEntry]) -> dict[UUID, int]:
    """Numbers of the chart annotations: entry -> number, oldest first."""
    annotated = sorted(
        (row for row in entries if row.kind in ANNOTATED_KINDS), key=lambda row: row.at
    )
    return {row.id: number for number, row in enumerate(annotated[:MAX_ANNOTATIONS], start=1)}


def overlay_of(incident: Incident) -> Overlay:
    """Its causes, and the devices behind them. One query."""
    problem = selectors.problem_of(incident)
    roots = {incident.root_id, *(UUID(str(cause["entity_id"])) for cause in problem["causes"])}
    behind = {UUID(str(pk)) for pk in problem["impact"].get("devices", ())}
    return Overlay(frozenset(roots), frozenset(behind - roots))


def impact_graph(access: Access, incident: Incident, *, at: datetime) -> TopologyView:
    """The causes, the affected devices and their neighbors. At most twelve queries."""
    overlay = overlay_of(incident)
    root_links = Link.objects.filter(pk__in=overlay.roots).values_list("a_device_id", "z_device_id")
    ends = {end for pair in root_links for end in pair if end}
    devices_of_roots = set(devices_of_entities(overlay.roots - ends).values())
    shown_ids = {*overlay.suppressed, *ends, *devices_of_roots}
    network = network_map(access, around=shown_ids)
    sites = {pk: name for pk, name, _code in visible_site_names(access)}
    if len(shown_ids) > MAX_DEVICES:
        return _by_site(access, network, sites, overlay, at)
    looks = topology_view.device_looks(at, network.devices)
    link_looks = topology_view.link_looks(at, network.links)
    address = reverse("console:device", args=[_PLACEHOLDER_ID]).replace(_PLACEHOLDER_ID, "{id}")
    view = topology_view.by_device(
        network, looks=looks, links=link_looks, sites=sites, overlay=overlay, address=address
    )
    return topology_view.faded(view, only={str(pk) for pk in shown_ids})


def _by_site(
    access: Access, network: NetworkMap, sites: Mapping[UUID, str], overlay: Overlay, at: datetime
) -> TopologyView:
    devices, links = visible_devices(access).filter(pk__in=network.devices), network.between_sites()
    return site_view.by_site(
        site_view.looks_by_site(devices, overlay, at),
        links,
        ranks=site_view.ranks_by_site(devices),
        link_looks=topology_view.link_looks(at, links),
        sites=sites,
        overlay=overlay,
        address=reverse("console:site", args=[_PLACEHOLDER_ID]).replace(_PLACEHOLDER_ID, "{id}"),
    )


def impact_chart(incident: Incident, *, at: datetime) -> Chart:
    """Reachable routers and active sessions among the affected ones; else the traffic of the failed link."""
    duration_so_far = (incident.ended_at or at) - incident.started_at
    start = incident.started_at - max(BEFORE, duration_so_far / 2)
    end = min(at, (incident.ended_at or at) + max(AFTER, duration_so_far / 4))
    profile = polling_profile({})
    impact = selectors.problem_of(incident)["impact"]
    devices, services = (
        [UUID(str(pk)) for pk in impact.get(kind, ())] for kind in ("devices", "services")
    )
    lines: list[Line] = []
    seconds = profile["medium_s"] if services or not devices else profile["fast_s"]
    time_range = span_for(start, end, poll_seconds=seconds)
    if devices:
        up = total_of(UP, devices, time_range)
        lines.append(Line(_("routers that answer"), up, look="critical"))
    if services:
        sessions = total_of(SESSIONS, services, time_range)
        lines.append(Line(_("sessions"), sessions, look="data-2", scale="y2"))
    if not lines:
        lines = _traffic(incident.root_id, time_range)
    entries = list(selectors.timeline_of(incident)[:300])
    numbers = annotation_numbers(entries)
    marks = [
        Mark(
            at=row.at,
            label=row.text,
            number=numbers[row.id],
            look="critical" if row.kind == "opened" else "",
        )
        for row in entries
        if row.id in numbers
    ]
    duration = Mark(
        at=incident.started_at, until=incident.ended_at or at, label="", look=incident.severity
    )
    return Chart(time_range, tuple(lines), (duration, *marks))


def _traffic(root_id: UUID, time_range: BucketedRange) -> list[Line]:
    ends = Link.objects.filter(pk=root_id).values_list("a_interface_id", "z_interface_id").first()
    ports = [port for port in ends or (root_id,) if port]
    found = rates_of(metrics=[RX, TX], entity_ids=ports, time_range=time_range)
    looks = {RX: "data-2", TX: "data"}
    labels = {RX: _("in"), TX: _("out")}
    return [
        Line(
            labels[key.metric],
            [None if v is None else v * 8 for v in rates],
            look=looks[key.metric],
            unit="bit/s",
        )
        for key, rates in sorted(found.items(), key=lambda item: item[0].metric)
        if key.entity_id == ports[0]
    ]
