"""Which device credentials an agent receives. Every password that leaves the server passes this check."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from agent.collectors.registry import facts_of, has_collector
from agent.protocol.sealing import seal_for
from apps.agents.models import Agent
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.destinations import LoginStatus, login_statuses
from apps.inventory.errors import DestinationChanged
from apps.inventory.models import Device
from apps.inventory.services import credentials_of, require_login_approval
from apps.vault.kinds import KIND_SPECS
from apps.vault.models import CredentialSet


class ApprovedCredentials:
    """The credential sets that this agent may receive now, and the devices whose credentials are held.

    Only kinds that the device's collector logs in with; none for a collector that the agent does not have.
    """

    def __init__(self, agent: Agent, devices: Sequence[Device]) -> None:
        self.statuses: dict[UUID, LoginStatus] = login_statuses(devices)
        self._agent = agent
        kinds = {device.id: facts_of(device.collector).credential_kinds for device in devices}
        rows = credentials_of(list(kinds))
        self._all = {
            pk: usable
            for pk, sets in rows.items()
            if (usable := [row for row in sets if row.kind in kinds[pk]])
        }
        #: Devices whose collector this agent does not have.
        self.unsupported = {
            device.id
            for device in devices
            if not has_collector(agent.capabilities, device.collector)
        }
        self._approved = {pk for pk in self._all if self._is_approved(pk)}
        self.by_device = {pk: self._all[pk] for pk in self._approved - self.unsupported}

    def for_device(self, device_id: UUID) -> list[CredentialSet]:
        """A device's credential sets in order; empty when they are held or there are none."""
        return self.by_device.get(device_id, [])

    def is_held(self, device_id: UUID) -> bool:
        """Whether the device has credentials that this agent does not receive until they are approved."""
        return device_id in self._all and device_id not in self._approved

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


def login_document(row: CredentialSet) -> dict[str, Any]:
    """A login as agents receive it, before ``sealed_secrets`` are added."""
    return {
        "credential_set": str(row.id),
        "kind": row.kind,
        "username": row.username,
        "options": row.options,
        "sealed_password": "",
    }


def sealed_secrets(
    kind: str, secrets: Mapping[str, str], *, key: bytes, device_id: str
) -> dict[str, str]:
    """The secrets of a login that only the agent's host can decrypt. Raises SealedBoxInvalid for an unusable key."""
    spec = KIND_SPECS[kind]
    main = secrets.get(spec.main_secret, "")
    sealed = {"sealed_password": seal_for(key, main.encode(), device_id)}
    if len(spec.secrets) > 1:
        sealed["sealed_secrets"] = seal_for(key, json.dumps(dict(secrets)).encode(), device_id)
    return sealed


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
