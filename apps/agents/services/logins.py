"""Which router logins an agent is given: the one place through which every password leaves the server."""

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


class ReleasedLogins:
    """The RouterOS logins of some devices that this agent may be given now, and the devices whose logins are held."""

    def __init__(self, agent: Agent, devices: Sequence[Device]) -> None:
        self.statuses: dict[UUID, LoginStatus] = login_statuses(devices)
        self._agent = agent
        rows = credentials_of([device.id for device in devices])
        self._logins = {
            pk: used
            for pk, found in rows.items()
            if (used := [row for row in found if row.kind == CredentialKind.ROUTEROS_API])
        }
        self.released = {pk: used for pk, used in self._logins.items() if self._is_released(pk)}

    def of(self, device_id: UUID) -> list[CredentialSet]:
        """A device's logins, best first; empty when they are held or there are none."""
        return self.released.get(device_id, [])

    def is_held(self, device_id: UUID) -> bool:
        """There are logins, and this agent does not get them."""
        return device_id in self._logins and device_id not in self.released

    def certificate(self, device_id: UUID) -> str | None:
        """The pinned certificate of a released login over TLS; None: none is pinned yet."""
        status = self.statuses[device_id]
        if not status.destination.tls or status.approval is None:
            return None
        return status.approval.certificate or None

    def _is_released(self, device_id: UUID) -> bool:
        return self._agent.is_host_approved and self.statuses[device_id].is_released_to(
            self._agent.id
        )


def approve_agent_host(*, agent: Agent, host_key: str, actor: Actor, at: datetime) -> Agent:
    """Let logins be sealed to the host that this agent runs on now, as the approver has read its key.

    Locks: the agent. Raises LoginApprovalRefused, StandingAccessRefused, DestinationChanged.
    """
    require_login_approval(actor)
    with transaction.atomic():
        locked = Agent.objects.select_for_update().get(pk=agent.pk)
        if not host_key or locked.host_key != host_key:
            raise DestinationChanged(
                message=_(
                    "Nothing was approved: the agent runs on another host by now. Read it again."
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
