"""The page of one device: state, identity, interfaces, services, events."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from apps.alerts.models import Alert
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.console.web import device_parts as parts_of_page
from apps.console.web.alerts import AlertRow, alert_rows, worst_first
from apps.console.web.aspects import Aspect, aspects_of
from apps.console.web.charts import ChartChoice, chart_choices
from apps.console.web.device_parts import InterfaceRow, NeighborRow, PeerRow, ProbeRow, ServiceRow
from apps.console.web.device_services import probe_rows, service_rows
from apps.console.web.devices import uptime_of
from apps.console.web.events import EventRow, event_rows
from apps.console.web.latest_values import LatestValues
from apps.console.web.windows import Notice, notices_about
from apps.incidents.models import Incident
from apps.incidents.selectors import incidents_involving
from apps.inventory.device_entities import entities_of_device
from apps.inventory.models import Device, Site
from apps.inventory.selectors import visible_device_ids, visible_site_ids
from apps.pages.states import State
from apps.pages.time_range import TimeRange
from apps.telemetry.queries import BucketedRange, buckets_of, rates_of
from apps.topology.selectors import far_devices_of_neighbors

SPARK_SPAN = timedelta(hours=1)
#: A point per two and a half polls of the default profile, so that polling jitter makes no gaps.
SPARK_POINTS = 24
EVENTS_SPAN = timedelta(hours=24)
MAX_EVENTS = 20
MAX_INTERFACES = 120
MAX_ALERTS = 30


@dataclass(frozen=True)
class DevicePage:
    """Everything on a device page."""

    device: Device
    #: None: the site is outside what a limited member may not view.
    site: Site | None
    state: State
    uptime: str
    read_ago: str
    cpu: str
    memory: str
    aspects: tuple[Aspect, ...]
    interfaces: tuple[InterfaceRow, ...]
    interfaces_total: int
    interfaces_down: int
    neighbors: tuple[NeighborRow, ...]
    neighbors_up: int
    peers: tuple[PeerRow, ...]
    peers_up: int
    services: tuple[ServiceRow, ...]
    probes: tuple[ProbeRow, ...]
    events: tuple[EventRow, ...]
    alerts: tuple[AlertRow, ...]
    incidents: tuple[Incident, ...]
    open_incident: Incident | None
    notices: tuple[Notice, ...]
    charts: tuple[ChartChoice, ...]
    time_range: TimeRange
    #: Whether this member may have its login tried.
    may_test: bool

    @property
    def chart(self) -> ChartChoice:
        """The chosen chart."""
        return next(row for row in self.charts if row.is_chosen)

    @property
    def chart_query(self) -> str:
        """The query string of its data."""
        return urlencode({"chart": self.chart.value}) + "&" + self.time_range.query


def device_page(
    access: Access, device: Device, *, chart: str, shown: TimeRange, at: datetime
) -> DevicePage:
    """At most thirty-one queries, whatever the device has."""
    rows = entities_of_device(device)
    ids = list({device.id, *rows.ids()})
    read = LatestValues(
        metrics=parts_of_page.READ, entity_ids=ids, profile=device.polling_profile, at=at
    )
    time_range = BucketedRange(start=at - SPARK_SPAN, end=at, points=SPARK_POINTS)
    rates = rates_of(metrics=parts_of_page.RATES, entity_ids=ids, time_range=time_range)
    drawn = buckets_of(metrics=parts_of_page.DRAWN, entity_ids=ids, time_range=time_range)
    about = worst_first(access, Alert.objects.visible_to(access).open().filter(entity_id__in=ids))
    alerts = alert_rows(access, list(about[:MAX_ALERTS]), at=at)
    far = far_devices_of_neighbors(device)
    named = visible_device_ids(
        access, rows.far_device_ids(device) | {pk for pk, _name in far.values()}
    )
    far = {pk: end for pk, end in far.items() if end[0] in named}
    remote_ends = parts_of_page.remote_ends_of(device, rows.links, named)
    interfaces = parts_of_page.interface_rows(rows.interfaces, remote_ends, read, rates)
    neighbors = parts_of_page.neighbor_rows(rows.ospf_neighbors, far, read)
    peers = parts_of_page.peer_rows(rows.bgp_peers, read)
    services = service_rows(rows.services, read, drawn)
    probes = probe_rows(rows.probe_targets, read, drawn)
    incidents = incidents_involving(access, ids, most=8)
    state = read.state(device.id, "device.up")
    return DevicePage(
        device=device,
        site=device.site if device.site_id in visible_site_ids(access, {device.site_id}) else None,
        state=state,
        uptime=uptime_of(read.fresh(device.id, "device.uptime_seconds"), state),
        read_ago=read.age(device.id, "device.up"),
        cpu=_percent(read.number(device.id, "device.cpu_pct"), 100),
        memory=_percent(
            read.number(device.id, "device.mem_used_bytes"),
            read.number(device.id, "device.mem_total_bytes"),
        ),
        aspects=aspects_of(
            device.id,
            read,
            interfaces=interfaces,
            neighbors=neighbors,
            peers=peers,
            services=services,
            probes=probes,
            alerts=alerts,
        ),
        interfaces=interfaces[:MAX_INTERFACES],
        interfaces_total=len(interfaces),
        interfaces_down=sum(1 for row in interfaces if row.state.look == "critical"),
        neighbors=neighbors,
        neighbors_up=sum(1 for row in neighbors if row.state.look == "ok"),
        peers=peers,
        peers_up=sum(1 for row in peers if row.state.look == "ok"),
        services=services,
        probes=probes,
        events=event_rows(ids, since=at - EVENTS_SPAN, until=at, most=MAX_EVENTS),
        alerts=alerts,
        incidents=tuple(incidents),
        open_incident=next((row for row in incidents if row.is_open), None),
        notices=notices_about(access, site_id=device.site_id, device_id=device.id, at=at),
        charts=chart_choices(device, rows, chosen=chart),
        time_range=shown,
        may_test=access.may(Permission.DIAGNOSTICS_RUN),
    )


def _percent(part: float | None, whole: float | None) -> str:
    return "" if part is None or not whole else f"{part / whole * 100:.0f} %"
