"""Destination of a device's credentials: address, port, TLS, credential sets, agents. Approval is in services."""

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
from apps.inventory.polling_agents import PollingAgent, polling_agents_of

#: Reasons that concern the endpoint itself: no credentials are sent there.
ENDPOINT_REASONS = frozenset(
    {HoldReason.NEVER_APPROVED, HoldReason.ADDRESS, HoldReason.PORT, HoldReason.TLS}
)


@dataclass(frozen=True)
class Destination:
    """Which credential sets are sent to which address, port and transport, and by which agents."""

    device_id: UUID
    address: str
    port: int
    tls: bool
    credential_sets: frozenset[str]
    agents: frozenset[str]

    @property
    def digest(self) -> str:
        """Identifies this destination, so that an approval applies to exactly what the approver saw."""
        parts = [str(self.device_id), self.address, self.port, self.tls]
        text = json.dumps([*parts, sorted(self.credential_sets), sorted(self.agents)])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class LoginStatus:
    """A device's present destination compared with the approved one."""

    destination: Destination
    approval: LoginApproval | None
    polling_agents: tuple[PollingAgent, ...]
    #: Why at least one agent receives no credentials; empty when there are none.
    reasons: tuple[HoldReason, ...]
    #: Differences of the endpoint from the approved one, whether or not the device has credentials now.
    changed_endpoint: frozenset[HoldReason]

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
    def needs_approval(self) -> bool:
        """Whether an operator must approve or reject it."""
        return self.state in {LoginState.HELD, LoginState.CERTIFICATE_CHANGED}

    def may_test_other_credentials(self, agent_id: UUID) -> bool:
        """Whether an approver may have this agent test credentials there that are not the device's.

        If nothing was ever approved, the approver's own request suffices; a changed endpoint is held.
        """
        if self.approval is None:
            return not self.reasons
        return not self.changed_endpoint and str(agent_id) in self.approval.agents

    def may_receive_credentials(self, agent_id: UUID) -> bool:
        """Whether the device's approval covers this agent; the agent's host must be approved too."""
        agent_reasons = {HoldReason.AGENTS, HoldReason.AGENT_HOST}
        if self.approval is None or set(self.reasons) - agent_reasons:
            return False
        return str(agent_id) in self.approval.agents


def login_status(device: Device) -> LoginStatus:
    """The status of one device."""
    return login_statuses([device])[device.pk]


def login_statuses(devices: Sequence[Device]) -> dict[UUID, LoginStatus]:
    """The status of each device, from the given rows. Five queries, whatever their number."""
    ids = [device.pk for device in devices]
    if not ids:
        return {}
    approvals = {row.device_id: row for row in LoginApproval.objects.filter(device__in=ids)}
    sets = credential_set_ids(devices)
    polling_agents = polling_agents_of(ids)
    return {
        device.pk: _status(
            device, sets[device.pk], approvals.get(device.pk), polling_agents.get(device.pk, [])
        )
        for device in devices
    }


def devices_awaiting_approval(access: Access) -> QuerySet[Device]:
    """Visible devices whose credentials are held or whose certificate has changed. Six queries."""
    visible = access.visible(Device.objects.all(), Permission.INVENTORY_VIEW)
    rows = visible.only("management_address", "api_port", "api_tls", "credential_set_id")
    statuses = login_statuses(list(rows))
    return visible.filter(pk__in=[pk for pk, status in statuses.items() if status.needs_approval])


def credential_set_ids(devices: Iterable[Device]) -> Mapping[UUID, frozenset[str]]:
    """Ids of the credential sets of these devices, as text. One query."""
    set_ids: dict[UUID, set[str]] = defaultdict(set)
    for device in devices:
        set_ids[device.pk] = {str(device.credential_set_id)} if device.credential_set_id else set()
    fallback = DeviceCredential.objects.filter(device__in=list(set_ids))
    for device_id, set_id in fallback.values_list("device_id", "credential_set_id"):
        set_ids[device_id].add(str(set_id))
    return {pk: frozenset(ids) for pk, ids in set_ids.items()}


def canonical(address: str) -> str:
    """The normalized form of an address."""
    return str(ipaddress.ip_address(address))


def _status(
    device: Device,
    sets: frozenset[str],
    approval: LoginApproval | None,
    polling_agents: Collection[PollingAgent],
) -> LoginStatus:
    destination = Destination(
        device_id=device.pk,
        address=canonical(str(device.management_address)),
        port=device.api_port,
        tls=device.api_tls,
        credential_sets=sets,
        agents=frozenset(str(agent.agent_id) for agent in polling_agents),
    )
    reasons = tuple(_reasons(destination, approval, polling_agents))
    changed_endpoint = (
        ENDPOINT_REASONS & {*reasons} if approval is not None else frozenset[HoldReason]()
    )
    return LoginStatus(
        destination, approval, tuple(polling_agents), reasons if sets else (), changed_endpoint
    )


def _reasons(
    now: Destination, approval: LoginApproval | None, polling_agents: Collection[PollingAgent]
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
    if not all(agent.is_host_approved for agent in polling_agents):
        yield HoldReason.AGENT_HOST
