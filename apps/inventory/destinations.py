"""A login's destination: what decides where a router's password travels. Reads; the decisions are in services."""

import hashlib
import ipaddress
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.inventory.choices import HoldReason, LoginState
from apps.inventory.models import Device, DeviceCredential, LoginApproval
from apps.inventory.readers import Reader, readers_of

#: Reasons that speak of the endpoint itself: no login is tried there.
WHERE = frozenset({HoldReason.NEVER_APPROVED, HoldReason.ADDRESS, HoldReason.PORT, HoldReason.TLS})


@dataclass(frozen=True)
class Destination:
    """To which address, port and transport which logins are sent, and by which agents."""

    device_id: UUID
    address: str
    port: int
    tls: bool
    credential_sets: frozenset[str]
    agents: frozenset[str]

    @property
    def digest(self) -> str:
        """Names this destination: what was approved is what the approver has read."""
        parts = [str(self.device_id), self.address, self.port, self.tls]
        text = json.dumps([*parts, sorted(self.credential_sets), sorted(self.agents)])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class LoginStatus:
    """A device's destination beside what was approved."""

    destination: Destination
    approval: LoginApproval | None
    readers: tuple[Reader, ...]
    #: Why at least one agent is not given the logins; empty when there are none.
    reasons: tuple[HoldReason, ...]
    #: What of the endpoint differs from what was approved, whether or not the device has a login now.
    changed_where: frozenset[HoldReason]

    @property
    def state(self) -> LoginState:
        if not self.destination.credential_sets:
            return LoginState.NONE
        if self.reasons:
            return LoginState.HELD
        if self.approval is not None and self.approval.presented_certificate:
            return LoginState.CERTIFICATE_CHANGED
        return LoginState.APPROVED

    @property
    def needs_decision(self) -> bool:
        """Somebody has to look at it."""
        return self.state in {LoginState.HELD, LoginState.CERTIFICATE_CHANGED}

    def may_receive_another_login(self, agent_id: UUID) -> bool:
        """Whether an approver may have this agent try a login there that is not the device's.

        Where nothing was ever approved, the approver's own act decides; what was approved and changed since is held.
        """
        if self.approval is None:
            return not self.reasons
        return not self.changed_where and str(agent_id) in self.approval.agents

    def is_released_to(self, agent_id: UUID) -> bool:
        """Whether this agent may be given the logins, as far as the device decides it; its host decides too."""
        of_agents = {HoldReason.AGENTS, HoldReason.AGENT_HOST}
        if self.approval is None or set(self.reasons) - of_agents:
            return False
        return str(agent_id) in self.approval.agents


def login_status(device: Device) -> LoginStatus:
    """One device's."""
    return login_statuses([device])[device.pk]


def login_statuses(devices: Sequence[Device]) -> dict[UUID, LoginStatus]:
    """Each device's, from the rows as they are given. Five queries, whatever their number."""
    ids = [device.pk for device in devices]
    if not ids:
        return {}
    approvals = {row.device_id: row for row in LoginApproval.objects.filter(device__in=ids)}
    sets = credential_set_ids(devices)
    readers = readers_of(ids)
    return {
        device.pk: _status(
            device, sets[device.pk], approvals.get(device.pk), readers.get(device.pk, [])
        )
        for device in devices
    }


def devices_that_need_a_decision(access: Access) -> QuerySet[Device]:
    """Those that this member may see whose login is held or whose certificate has changed. Six queries."""
    visible = access.visible(Device.objects.all(), Permission.INVENTORY_VIEW)
    known = visible.only("management_address", "api_port", "api_tls", "credential_set_id")
    statuses = login_statuses(list(known))
    return visible.filter(pk__in=[pk for pk, row in statuses.items() if row.needs_decision])


def credential_set_ids(devices: Iterable[Device]) -> Mapping[UUID, frozenset[str]]:
    """Ids of every login of these devices, as text. One query."""
    found: dict[UUID, set[str]] = defaultdict(set)
    for device in devices:
        found[device.pk] = {str(device.credential_set_id)} if device.credential_set_id else set()
    further = DeviceCredential.objects.filter(device__in=list(found))
    for device_id, set_id in further.values_list("device_id", "credential_set_id"):
        found[device_id].add(str(set_id))
    return {pk: frozenset(ids) for pk, ids in found.items()}


def canonical(address: str) -> str:
    """One spelling of an address, however it was written."""
    return str(ipaddress.ip_address(address))


def _status(
    device: Device,
    sets: frozenset[str],
    approval: LoginApproval | None,
    readers: Collection[Reader],
) -> LoginStatus:
    destination = Destination(
        device_id=device.pk,
        address=canonical(str(device.management_address)),
        port=device.api_port,
        tls=device.api_tls,
        credential_sets=sets,
        agents=frozenset(str(reader.agent_id) for reader in readers),
    )
    reasons = tuple(_reasons(destination, approval, readers))
    changed_where = WHERE & {*reasons} if approval is not None else frozenset[HoldReason]()
    return LoginStatus(
        destination, approval, tuple(readers), reasons if sets else (), changed_where
    )


def _reasons(
    now: Destination, approval: LoginApproval | None, readers: Collection[Reader]
) -> Iterable[HoldReason]:
    if approval is None:
        yield HoldReason.NEVER_APPROVED
        return
    if now.address != canonical(approval.address):
        yield HoldReason.ADDRESS
    if now.port != approval.port:
        yield HoldReason.PORT
    if now.tls != approval.tls:
        yield HoldReason.TLS
    if not now.credential_sets <= set(approval.credential_sets):
        yield HoldReason.CREDENTIAL_SETS
    if not now.agents <= set(approval.agents):
        yield HoldReason.AGENTS
    if not all(reader.is_host_approved for reader in readers):
        yield HoldReason.AGENT_HOST
