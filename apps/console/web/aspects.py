"""The state of a device by aspect: reachability, management plane, routing, links, services. They may differ."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.alerts.choices import Symptom
from apps.console.web.alerts import AlertRow
from apps.console.web.device_parts import InterfaceRow, NeighborRow, PeerRow, ProbeRow, ServiceRow
from apps.console.web.latest_values import LatestValues
from apps.pages.states import BLIND, DOWN, NONE, OK, SUPPRESSED, UNKNOWN, UP, WARN, State

_SYMPTOMS = {
    "reachability": {Symptom.UNREACHABLE},
    "management": {Symptom.MANAGEMENT_PLANE},
    "routing": {Symptom.ADJACENCY_DOWN, Symptom.BGP_DOWN},
    "links": {Symptom.INTERFACE_DOWN},
    "services": {Symptom.SESSIONS_LOST},
}


@dataclass(frozen=True)
class Aspect:
    """One of the five."""

    label: str
    state: State
    text: str


def aspects_of(
    device_id: UUID,
    read: LatestValues,
    *,
    interfaces: Sequence[InterfaceRow],
    neighbors: Sequence[NeighborRow],
    peers: Sequence[PeerRow],
    services: Sequence[ServiceRow],
    probes: Sequence[ProbeRow],
    alerts: Sequence[AlertRow],
) -> tuple[Aspect, ...]:
    """The five aspects, in their order on the page."""
    found = (
        ("reachability", _reachability(device_id, read, probes)),
        ("management", _management(device_id, read)),
        ("routing", _routing(neighbors, peers)),
        ("links", _links(interfaces)),
        ("services", _services(services)),
    )
    return tuple(_suppressed(aspect, _SYMPTOMS[key], alerts) for key, aspect in found)


def _suppressed(aspect: Aspect, symptoms: set[Symptom], alerts: Iterable[AlertRow]) -> Aspect:
    """A problem whose alerts are all suppressed is shown as suppressed."""
    about = [alert for alert in alerts if alert.symptom in symptoms]
    if not aspect.state.is_problem or not about or any(not a.suppression_reason for a in about):
        return aspect
    text = _("%(what)s, caused by INC-%(number)s") % {
        "what": aspect.text,
        "number": about[0].incident_number,
    }
    return Aspect(aspect.label, SUPPRESSED, text)


def _reachability(device_id: UUID, read: LatestValues, probes: Sequence[ProbeRow]) -> Aspect:
    state = read.state(device_id, "device.up")
    answer = next((probe for probe in probes if probe.rtt), None)
    text = _("Never probed")
    if state is BLIND:
        text = _("Not probed for %(time)s") % {"time": read.age(device_id, "device.up")}
    elif state is DOWN:
        text = _("Not responding")
    elif state is UP:
        text = (
            _("%(rtt)s, %(loss)s loss") % {"rtt": answer.rtt, "loss": answer.loss or "0 %"}
            if answer
            else _("Responding")
        )
    return Aspect(_("Reachability"), OK if state is UP else state, text)


def _management(device_id: UUID, read: LatestValues) -> Aspect:
    state = read.state(device_id, "device.api.up")
    took = read.number(device_id, "device.poll.ms")
    text = _("Not polled yet: needs an agent and a login")
    if state is BLIND:
        text = _("Not polled for %(time)s") % {"time": read.age(device_id, "device.api.up")}
    elif state is DOWN:
        text = _("API not responding; the router may still forward traffic")
    elif state is UP:
        text = (
            _("API polled in %(ms).0f ms") % {"ms": took}
            if took is not None
            else _("API responding")
        )
    return Aspect(
        _("Management plane"), OK if state is UP else WARN if state is DOWN else state, text
    )


def _routing(neighbors: Sequence[NeighborRow], peers: Sequence[PeerRow]) -> Aspect:
    states = [row.state for row in neighbors] + [row.state for row in peers]
    if states and not {UP, DOWN} & set(states):
        return _of(_("Routing"), states, _("Adjacencies not monitored now"))
    parts = []
    if neighbors:
        up = sum(1 for row in neighbors if row.state is UP)
        parts.append(_("%(up)d of %(n)d OSPF neighbors") % {"up": up, "n": len(neighbors)})
    if peers:
        up = sum(1 for row in peers if row.state is UP)
        parts.append(_("%(up)d of %(n)d BGP peers") % {"up": up, "n": len(peers)})
    return _of(_("Routing"), states, ", ".join(parts) or _("No adjacencies known"))


def _links(interfaces: Sequence[InterfaceRow]) -> Aspect:
    linked = [row for row in interfaces if row.is_linked]
    down = [row for row in linked if row.state is DOWN]
    if down:
        text = _("%(port)s to %(far)s down") % {"port": down[0].name, "far": down[0].connected_to}
        if len(down) > 1:
            more = len(down) - 1
            text += ngettext(", %(n)d more", ", %(n)d more", more) % {"n": more}
    elif linked and all(row.state is BLIND for row in linked):
        text = ngettext(
            "%(n)d link, not monitored now", "%(n)d links, not monitored now", len(linked)
        )
        text %= {"n": len(linked)}
    elif linked:
        up = sum(1 for row in linked if row.state is UP)
        text = _("%(up)d of %(n)d links up") % {"up": up, "n": len(linked)}
    else:
        text = _("No links")
    return _of(_("Links"), [row.state for row in linked], text)


def _services(services: Sequence[ServiceRow]) -> Aspect:
    counted = [row for row in services if row.sessions]
    if counted:
        total = sum(int(row.sessions) for row in counted)
        text = ngettext("%(n)d session", "%(n)d sessions", total) % {"n": total}
    else:
        text = _("Session count not available now") if services else _("No services")
    return _of(_("Services"), [row.state for row in services if row.state is not UNKNOWN], text)


def _of(label: str, states: Sequence[State], text: str) -> Aspect:
    """The worst of several states: some down is a warning, all down is down."""
    if not states:
        return Aspect(label, NONE, text)
    if DOWN in states:
        return Aspect(label, WARN if UP in states else DOWN, text)
    if BLIND in states:
        return Aspect(label, BLIND, text)
    return Aspect(label, OK if UP in states else UNKNOWN, text)
