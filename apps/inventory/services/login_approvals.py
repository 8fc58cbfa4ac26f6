"""Approving where a device's credentials are sent. Other services may change a device; only these approve.

A change by an actor who may approve approves exactly what it changed; what others changed before stays held until it is
approved by its digest.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.access_sessions import refuse_in_access_session
from apps.audit.services import PendingRecord, record, record_all
from apps.authorization.actors import Actor
from apps.inventory.choices import HoldReason
from apps.inventory.destinations import Destination, LoginStatus, login_statuses
from apps.inventory.errors import DestinationChanged, LoginApprovalRefused
from apps.inventory.models import Device, LoginApproval
from apps.inventory.polling_agents import polling_agents_of
from apps.tenancy.locks import TenantLock, lock

#: Fields that decide where credentials are sent. The site decides which agents poll the device.
DESTINATION_FIELDS = frozenset(
    {"management_address", "api_port", "api_tls", "credential_set", "site"}
)
BATCH = 1_000
_CERTIFICATE_FIELDS = ("certificate", "certificate_at", "presented_certificate", "presented_at")


def require_login_approval(actor: Actor) -> None:
    """Raises LoginApprovalRefused unless the actor may approve logins, StandingAccessRefused in an access session."""
    refuse_in_access_session(actor)
    if not actor.approves_logins:
        raise LoginApprovalRefused(
            message=_(
                "Nothing was approved. Confirm your identity and try again, or use a token with the "
                "scope logins.approve."
            )
        )


def may_approve(actor: Actor) -> bool:
    """Whether changes by this actor are approved at once."""
    return actor.approves_logins and not actor.access_session


def lock_assignments() -> None:
    """Serialize assignment changes of the tenant: a concurrent one would be attributed to this actor.

    Always taken before the lock of any device or approval; another order could deadlock.
    """
    lock(TenantLock.ASSIGNMENTS)


@contextmanager
def destination_change(device_id: UUID, *, actor: Actor, at: datetime) -> Iterator[None]:
    """Wrap a change of one device: approve it if the actor may, else hold the credentials.

    Locks: the tenant's assignments, the device.
    """
    with transaction.atomic():
        lock_assignments()
        before = _locked_status(device_id)
        yield
        after = _locked_status(device_id)
        _update_approval(before, after, actor, at)


@contextmanager
def assignment_change(*, actor: Actor, at: datetime) -> Iterator[None]:
    """Wrap an assignment change: added agents are approved if the actor may approve, else they receive no credentials;
    agents that no longer poll a device lose the approval.

    Locks: the tenant's assignments, the approvals of devices whose polling agents changed.
    """
    with transaction.atomic():
        lock_assignments()
        before = _polling_agent_ids()
        yield
        after = _polling_agent_ids()
        changed = [pk for pk in {*before, *after} if before.get(pk) != after.get(pk)]
        rows = LoginApproval.objects.select_for_update(of=("self",)).filter(device__in=changed)
        changed_rows, audit_records = [], []
        for row in rows.select_related("device").order_by("pk"):
            old, new = before.get(row.device_id, set()), after.get(row.device_id, set())
            agents = _approved_agents(row.agents, old, new, actor)
            if new - {*agents} - old:
                reasons = {"reasons": [str(HoldReason.AGENTS)]}
                audit_records.append(_audit_record("device.login_held", row, actor, at, reasons))
            if agents == row.agents:
                continue
            if {*agents} - {*row.agents}:
                row.approved_by, row.approved_at = actor.as_dict(), at
                audit_records.append(
                    _audit_record("device.login_approved", row, actor, at, {"agents": agents})
                )
            row.agents = agents
            changed_rows.append(row)
        fields = ["agents", "approved_by", "approved_at"]
        LoginApproval.objects.bulk_update(changed_rows, fields, batch_size=BATCH)
        record_all(audit_records)


def approve_logins(
    *, destinations: Mapping[UUID, str], actor: Actor, at: datetime
) -> list[LoginStatus]:
    """Approve these destinations as the approver saw them (device id -> digest), all or none.

    Locks: the tenant's assignments, the devices in order of id, their approvals. Raises LoginApprovalRefused,
    StandingAccessRefused, DestinationChanged with the ids of devices that have changed or were deleted.
    """
    require_login_approval(actor)
    with transaction.atomic():
        lock_assignments()
        rows = Device.objects.select_for_update(no_key=True).filter(pk__in=destinations)
        devices = list(rows.order_by("pk"))
        statuses = login_statuses(devices)
        changed = [
            pk
            for pk, digest in destinations.items()
            if pk not in statuses or statuses[pk].destination.digest != digest
        ]
        if changed:
            raise DestinationChanged(
                message=_("Nothing was approved: some devices have changed. Reload and try again."),
                devices=", ".join(sorted(map(str, changed))),
            )
        _approve(devices, statuses, actor, at)
        return list(login_statuses(devices).values())


def approve_all_logins(*, actor: Actor, at: datetime) -> int:
    """Approve all present destinations of the tenant, for rows written without the services. Returns the count."""
    require_login_approval(actor)
    devices = list(Device.objects.order_by("pk"))
    statuses = {
        pk: status
        for pk, status in login_statuses(devices).items()
        if status.destination.credential_sets and status.reasons
    }
    _approve([row for row in devices if row.pk in statuses], statuses, actor, at)
    return len(statuses)


def approve_first_login(device: Device, *, actor: Actor, at: datetime) -> None:
    """Approve the credentials of a new device if the actor may, else hold them. Needs lock_assignments."""
    statuses = login_statuses([device])
    if not statuses[device.pk].destination.credential_sets:
        return
    if may_approve(actor):
        _approve([device], statuses, actor, at)
    else:
        _record_hold(statuses[device.pk], actor, at)


def accept_certificate(*, device: Device, certificate: str, actor: Actor, at: datetime) -> None:
    """Pin the certificate that a router presents, as the approver saw it.

    Locks: the approval. Raises LoginApprovalRefused, StandingAccessRefused, DestinationChanged.
    """
    require_login_approval(actor)
    with transaction.atomic():
        row = LoginApproval.objects.select_for_update().filter(device=device).first()
        if row is None or not certificate or row.presented_certificate != certificate:
            raise DestinationChanged(
                message=_("Nothing was accepted: the device now presents another certificate.")
            )
        before = row.certificate
        row.certificate, row.certificate_at = certificate, at
        row.presented_certificate, row.presented_at = "", None
        row.save(update_fields=list(_CERTIFICATE_FIELDS))
        record(
            action="device.certificate_accepted",
            actor=actor,
            entity=("device", device.pk),
            at=at,
            detail={"name": device.name, "certificate": [before, certificate]},
        )


def record_certificates(
    *,
    accepted: Mapping[UUID, str],
    presented: Mapping[UUID, str],
    actor: Actor,
    at: datetime,
) -> None:
    """Record certificates that an agent reported: of successful logins, and other presented ones.

    The first accepted one is pinned; a pin changes only by ``accept_certificate``. Reports of agents that are not
    approved for the device are ignored. Locks: the approvals.
    """
    ids = {*accepted, *presented}
    if not ids:
        return
    rows = LoginApproval.objects.select_for_update(of=("self",)).filter(device__in=ids, tls=True)
    audit_records, changed_rows = [], []
    for row in rows.select_related("device").order_by("pk"):
        if str(actor.id) not in row.agents:
            continue
        accepted_certificate, presented_certificate = (
            accepted.get(row.device_id, ""),
            presented.get(row.device_id, ""),
        )
        if accepted_certificate and not row.certificate:
            row.certificate, row.certificate_at = accepted_certificate, at
            audit_records.append(
                _audit_record(
                    "device.certificate_pinned",
                    row,
                    actor,
                    at,
                    {"certificate": accepted_certificate},
                )
            )
        elif (
            accepted_certificate
            and accepted_certificate == row.certificate
            and row.presented_certificate
        ):
            row.presented_certificate, row.presented_at = "", None
        elif presented_certificate and presented_certificate not in {
            row.certificate,
            row.presented_certificate,
        }:
            row.presented_certificate, row.presented_at = presented_certificate, at
            both = {"certificate": [row.certificate, presented_certificate]}
            audit_records.append(_audit_record("device.certificate_changed", row, actor, at, both))
        else:
            continue
        changed_rows.append(row)
    LoginApproval.objects.bulk_update(changed_rows, _CERTIFICATE_FIELDS)
    record_all(audit_records)


def _locked_status(device_id: UUID) -> LoginStatus:
    device = Device.objects.select_for_update(no_key=True).get(pk=device_id)
    return login_statuses([device])[device_id]


def _update_approval(before: LoginStatus, after: LoginStatus, actor: Actor, at: datetime) -> None:
    row = after.approval
    if row is None:
        # Adding the first credential set approves it; credentials that were there and never approved stay held.
        if after.destination.credential_sets and not before.destination.credential_sets:
            device = Device.objects.get(pk=after.destination.device_id)
            approve_first_login(device, actor=actor, at=at)
        return
    old_values = _values(row)
    _approve_changes(row, before.destination, after.destination, actor)
    is_changed = _values(row) != old_values
    if is_changed:
        if _values(row)[:3] != old_values[:3]:
            _unpin(row)
        if may_approve(actor):
            row.approved_by, row.approved_at = actor.as_dict(), at
        row.save()
    if may_approve(actor) and is_changed:
        record_all([_audit_record("device.login_approved", row, actor, at, _detail(row))])
    elif set(after.reasons) - set(before.reasons) and not may_approve(actor):
        _record_hold(after, actor, at)


def _approve_changes(row: LoginApproval, old: Destination, new: Destination, actor: Actor) -> None:
    """Approve the difference between ``old`` and ``new``, and nothing that was changed earlier."""
    if may_approve(actor):
        if old.address != new.address:
            row.address = new.address
        if old.port != new.port:
            row.port = new.port
        if old.tls != new.tls:
            row.tls = new.tls
        if old.credential_sets != new.credential_sets:
            added = new.credential_sets - old.credential_sets
            still_used = new.credential_sets & set(row.credential_sets)
            row.credential_sets = sorted(still_used | added)
    row.agents = _approved_agents(row.agents, old.agents, new.agents, actor)


def _approved_agents(
    approved: Sequence[str], old: Collection[str], new: Collection[str], actor: Actor
) -> list[str]:
    """Agents approved earlier that still poll the device, and those added by an actor who may approve."""
    added = set(new) - set(old) if may_approve(actor) else set()
    return sorted((set(approved) & set(new)) | added)


def _polling_agent_ids() -> dict[UUID, set[str]]:
    return {
        pk: {str(row.agent_id) for row in polling_agents}
        for pk, polling_agents in polling_agents_of().items()
    }


def _values(row: LoginApproval) -> tuple[Any, ...]:
    return row.address, row.port, row.tls, list(row.credential_sets), list(row.agents)


def _unpin(row: LoginApproval) -> None:
    """Another endpoint has another certificate: the next successful login pins it."""
    row.certificate, row.certificate_at = "", None
    row.presented_certificate, row.presented_at = "", None


def _approve(
    devices: Iterable[Device], statuses: Mapping[UUID, LoginStatus], actor: Actor, at: datetime
) -> None:
    created, changed = [], []
    for device in devices:
        now, row = statuses[device.pk].destination, statuses[device.pk].approval
        if row is None:
            row = LoginApproval(device=device)
            created.append(row)
        else:
            changed.append(row)
            if (row.address, row.port, row.tls) != (now.address, now.port, now.tls):
                _unpin(row)
        row.address, row.port, row.tls = now.address, now.port, now.tls
        row.credential_sets, row.agents = sorted(now.credential_sets), sorted(now.agents)
        row.approved_by, row.approved_at = actor.as_dict(), at
        row.device = device
    LoginApproval.objects.bulk_create(created, batch_size=BATCH)
    fields = ["address", "port", "tls", "credential_sets", "agents", "approved_by", "approved_at"]
    LoginApproval.objects.bulk_update(changed, [*fields, *_CERTIFICATE_FIELDS], batch_size=BATCH)
    record_all(
        _audit_record("device.login_approved", row, actor, at, _detail(row))
        for row in (*created, *changed)
    )


def _detail(row: LoginApproval) -> dict[str, Any]:
    return {
        "address": str(row.address),
        "port": row.port,
        "tls": row.tls,
        "credential_sets": row.credential_sets,
        "agents": row.agents,
    }


def _audit_record(
    action: str, row: LoginApproval, actor: Actor, at: datetime, detail: Mapping[str, Any]
) -> PendingRecord:
    return PendingRecord(
        action, actor, ("device", row.device_id), at, {"name": row.device.name, **detail}
    )


def _record_hold(status: LoginStatus, actor: Actor, at: datetime) -> None:
    record(
        action="device.login_held",
        actor=actor,
        entity=("device", status.destination.device_id),
        at=at,
        detail={"reasons": [str(reason) for reason in status.reasons]},
    )
