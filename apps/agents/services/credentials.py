"""Which router credentials an agent receives. Every password that leaves the server passes this check."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.agents.models import Agent
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.destinations import LoginStatus, login_statuses
from apps.inventory.errors import DestinationChanged
from apps.inventory.models import Device
from apps.inventory.services import credentials_of, require_login_approval
from apps.vault.choices import CredentialKind
from apps.vault.models import CredentialSet


class ApprovedCredentials:
    """The RouterOS credential sets that this agent may receive now, and the devices whose credentials are held."""

    def __init__(self, agent: Agent, devices: Sequence[Device]) -> None:
        self.statuses: dict[UUID, LoginStatus] = login_statuses(devices)
        self._agent = agent
        rows = credentials_of([device.id for device in devices])
        self._all = {
            pk: routeros_sets
            for pk, sets in rows.items()
            if (routeros_sets := [row for row in sets if row.kind == CredentialKind.ROUTEROS_API])
        }
        self.by_device = {pk: sets for pk, sets in self._all.items() if self._is_approved(pk)}

    def for_device(self, device_id: UUID) -> list[CredentialSet]:
        """A device's credential sets in order; empty when they are held or there are none."""
        return self.by_device.get(device_id, [])

    def is_held(self, device_id: UUID) -> bool:
        """Whether the device has credentials that this agent does not receive."""
        return device_id in self._all and device_id not in self.by_device

    def certificate(self, device_id: UUID) -> str | None:
        """The pinned TLS certificate of the approved destination; None: not pinned yet."""
        status = self.statuses[device_id]
        if not status.destination.tls or status.approval is None:
            return None
        return status.approval.certificate or None

    def _is_approved(self, device_id: UUID) -> bool:
        return self._agent.is_host_approved and self.statuses[device_id].may_receive_credentials(
            self._agent.id
        )


def approve_agent_host(*, agent: Agent, host_key: str, actor: Actor, at: datetime) -> Agent:
    """Approve the agent's present host, identified by the key that the approver saw.

    Locks: the agent. Raises LoginApprovalRefused, StandingAccessRefused, DestinationChanged.
    """
    require_login_approval(actor)
    with transaction.atomic():
        locked = Agent.objects.select_for_update().get(pk=agent.pk)
        if not host_key or locked.host_key != host_key:
            raise DestinationChanged(
                message=_(
                    "Nothing was approved: the agent now runs on another host. Reload and try again."
                )
            )
        locked.approved_sealing_key = locked.sealing_public_key
        locked.host_approved_by, locked.host_approved_at = actor.as_dict(), at
        locked.save(update_fields=["approved_sealing_key", "host_approved_by", "host_approved_at"])
        record(
            action="agent.host_approved",
            actor=actor,
            entity=("agent", locked.id),
            at=at,
            detail={"name": locked.name, "hostname": locked.hostname, "host_key": host_key},
        )
    return locked
