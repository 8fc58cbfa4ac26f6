"""A PoP on one backhaul, monitored by an agent at the core: polled samples in, incidents out."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from agent.protocol import ids
from apps.agents.models import Agent
from apps.alerts import services as alerts
from apps.authorization.actors import Actor
from apps.core import clock
from apps.incidents import services
from apps.incidents.models import Incident
from apps.inventory.services import apply_discovery, create_service
from apps.telemetry import store
from apps.telemetry.store import Sample, SeriesKey
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from tests.agents.factories import make_agent
from tests.inventory.factories import make_device, make_link, make_site

ACTOR = Actor.system("test")
ROUTERS = (
    *(("cr1", "core", "hub"), ("cr2", "core", "hub"), ("er1", "edge", "hub")),
    *(("agg1", "agg", "north"), ("bng1", "bng", "north")),
)
LINKS = (("er1", "cr1"), ("cr1", "cr2"), ("cr2", "agg1"), ("agg1", "bng1"))
CUT_OFF_ROUTERS = ("agg1", "bng1")


class MonitoredNetwork:
    """Acme's network; everything works at second 0."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.t0 = clock.now() - timedelta(minutes=20)
        with acting_in(tenant):
            self._build()

    def _build(self) -> None:
        sites = {name: make_site(name) for name in ("hub", "north")}
        self.devices = {
            name: make_device(
                name, role=role, site=sites[site], management_address=f"127.20.0.{number}"
            )
            for number, (name, role, site) in enumerate(ROUTERS, start=1)
        }
        self.links = {f"{a}-{z}": make_link(self.devices[a], self.devices[z]) for a, z in LINKS}
        self.upstream = make_link(self.devices["er1"], None, "transit", kind="edge")
        for a, z in LINKS:
            self._discover(a, z)
            self._discover(z, a)
        self.pppoe = create_service(
            name="pppoe-north", kind="pppoe", device=self.devices["bng1"], actor=ACTOR, at=self.t0
        )
        self.agent = make_agent("core", attached_device=self.devices["cr1"])
        alerts.install_pack(pack="first", actor=ACTOR, at=self.t0)

    def _discover(self, device: str, towards: str) -> None:
        item = {
            "id": str(self.port(device, towards)),
            "device_id": str(self.devices[device].id),
            "name": f"to-{towards}",
            "type": "ether",
            "disabled": False,
        }
        apply_discovery(
            patch={"interfaces": [item]},
            device_ids=[self.devices[device].id],
            actor=ACTOR,
            at=self.t0,
        )

    def port(self, device: str, towards: str) -> UUID:
        """The id of a port in the ingest protocol; ``interface`` returns the server's own id."""
        return ids.interface_id(self.devices[device].id, f"to-{towards}")

    def interface(self, device: str, towards: str) -> UUID:
        return self.devices[device].interfaces.get(name=f"to-{towards}").id

    def at(self, seconds: float) -> datetime:
        return self.t0 + timedelta(seconds=seconds)

    def poll(
        self,
        seconds: float,
        *,
        down: tuple[str, ...] = (),
        cut: tuple[str, ...] = (),
        unpowered: tuple[str, ...] = (),
        sessions: float = 412.0,
    ) -> None:
        """One polling round: probes of every router; ports and power supplies of those that answer; sessions."""
        samples = [
            (("device", row.id, "device.up"), 0.0 if name in down else 1.0)
            for name, row in self.devices.items()
        ]
        samples += [
            (("device", row.id, "device.psu.ok"), 0.0 if name in unpowered else 1.0)
            for name, row in self.devices.items()
            if name not in down
        ]
        with acting_in(self.tenant):
            for a, z in LINKS:
                for near, far in ((a, z), (z, a)):
                    if near not in down:
                        key = ("interface", self.interface(near, far), "interface.oper_up")
                        samples.append((key, 0.0 if f"{a}-{z}" in cut else 1.0))
            if "bng1" not in down:
                samples.append((("service", self.pppoe.id, "pppoe.sessions.active"), sessions))
            at = self.at(seconds)
            store.write_batch(
                samples=[Sample(SeriesKey(*key), at, value) for key, value in samples],
                received_at=at,
            )
            Agent.objects.filter(pk=self.agent.pk).update(status="active", last_heartbeat_at=at)

    def evaluate(self, seconds: float) -> None:
        """Evaluate and correlate."""
        at = self.at(seconds)
        alerts.evaluate_tenant(tenant_id=self.tenant.id, at=at)
        services.correlate_tenant(tenant_id=self.tenant.id, at=at)

    def run(self, first: int, last: int, **faults: Any) -> None:
        """Polling rounds every 5 s, each evaluated a second later."""
        for seconds in range(first, last, 5):
            self.poll(seconds, **faults)
            self.evaluate(seconds + 1)

    def cut_backhaul(self, first: int, last: int) -> None:
        self.run(first, last, down=CUT_OFF_ROUTERS, cut=("cr2-agg1",))

    def lose_power(self, on_batteries: int, unreachable: int, last: int) -> None:
        """The PoP behind the backhaul runs on batteries first, then it becomes unreachable."""
        self.run(on_batteries, unreachable, unpowered=CUT_OFF_ROUTERS)
        self.run(unreachable, last, down=CUT_OFF_ROUTERS, cut=("cr2-agg1",))

    def open_incident(self) -> Incident:
        """Cut the backhaul at second 15; the incident opens at 33, and by 47 every router behind it has an alert."""
        faults = {"down": CUT_OFF_ROUTERS, "cut": ("cr2-agg1",)}
        self.poll(0)
        self.evaluate(1)
        for seconds in (15, 26):
            self.poll(seconds, **faults)
            self.evaluate(seconds + 1)
        self.evaluate(33)
        self.poll(46, **faults)
        self.evaluate(47)
        return self.incidents()[0]

    def incidents(self) -> list[Incident]:
        with acting_in(self.tenant):
            return list(Incident.objects.order_by("number"))
