"""Deciding where a router's login is sent. Every other service may change a device; only these approve.

An act of somebody who may decide approves exactly what it changed; what somebody else changed before stays held until
it is approved by its digest.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils.translation import gettext as _

from apps.accounts.access_sessions import refuse_in_access_session
from apps.audit.services import Act, record, record_all
from apps.authorization.actors import Actor
from apps.inventory.choices import HoldReason
from apps.inventory.destinations import Destination, LoginStatus, login_statuses
from apps.inventory.errors import DestinationChanged, LoginApprovalRefused
from apps.inventory.models import Device, LoginApproval
from apps.inventory.readers import readers_of
from apps.tenancy.context import require_tenant_id

#: What of a device decides where its login goes; the site decides which agents read it.
DECIDING = frozenset({"management_address", "api_port", "api_tls", "credential_set", "site"})
BATCH = 1_000
_LOCK = 0x15B_106E
_CERTIFICATE_FIELDS = ("certificate", "certificate_at", "presented_certificate", "presented_at")


def require_login_approval(actor: Actor) -> None:
    """Raise LoginApprovalRefused unless the actor may approve logins, StandingAccessRefused in an access session."""
    refuse_in_access_session(actor)
    if not actor.approves_logins:
        raise LoginApprovalRefused(
            message=_(
                "Nothing was approved: confirm who you are and try again, or use a token that was issued with the "
                "scope logins.approve."
            )
        )


def may_approve(actor: Actor) -> bool:
    """Whether a change by this actor approves itself."""
    return actor.approves_logins and not actor.access_session


def lock_readers() -> None:
    """One change of who reads what at a time: another's, between two looks, would pass for part of this act.

    Taken before the lock of any device or approval, everywhere: another order could deadlock.
    """
    with connection.cursor() as cursor:
        key = require_tenant_id().int & 0x7FFFFFFF
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, key])


@contextmanager
def destination_change(device_id: UUID, *, actor: Actor, at: datetime) -> Iterator[None]:
    """Around a change of one device: approve it if the actor may, else hold the login.

    Locks: the tenant's changes of readers, the device.
    """
    with transaction.atomic():
        lock_readers()
        before = _locked_status(device_id)
        yield
        after = _locked_status(device_id)
        _settle(before, after, actor, at)


@contextmanager
def assignment_change(*, actor: Actor, at: datetime) -> Iterator[None]:
    """Around a change of who reads what: agents that an actor with the right added are approved, others get no login;
    agents that no longer read a device lose the approval.

    Locks: the tenant's changes of readers, the approvals of devices whose readers changed.
    """
    with transaction.atomic():
        lock_readers()
        before = _agent_ids()
        yield
        after = _agent_ids()
        changed = [pk for pk in {*before, *after} if before.get(pk) != after.get(pk)]
        rows = LoginApproval.objects.select_for_update(of=("self",)).filter(device__in=changed)
        touched, acts = [], []
        for row in rows.select_related("device").order_by("pk"):
            had, has = before.get(row.device_id, set()), after.get(row.device_id, set())
            agents = _agents(row.agents, had, has, actor)
            if has - {*agents} - had:
                reasons = {"reasons": [str(HoldReason.AGENTS)]}
                acts.append(_act("device.login_held", row, actor, at, reasons))
            if agents == row.agents:
                continue
            if {*agents} - {*row.agents}:
                row.approved_by, row.approved_at = actor.as_dict(), at
                acts.append(_act("device.login_approved", row, actor, at, {"agents": agents}))
            row.agents = agents
            touched.append(row)
        fields = ["agents", "approved_by", "approved_at"]
        LoginApproval.objects.bulk_update(touched, fields, batch_size=BATCH)
        record_all(acts)


def approve_logins(
    *, destinations: Mapping[UUID, str], actor: Actor, at: datetime
) -> list[LoginStatus]:
    """Approve these devices' destinations as the approver has read them (device -> digest), all or none.

    Locks: the tenant's changes of readers, the devices in order of id, their approvals. Raises LoginApprovalRefused,
    StandingAccessRefused, DestinationChanged with the ids of devices that have changed since or are gone.
    """
    require_login_approval(actor)
    with transaction.atomic():
        lock_readers()
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
                message=_(
                    "Nothing was approved: some devices have changed since. Read them again."
                ),
                devices=", ".join(sorted(map(str, changed))),
            )
        _approve(devices, statuses, actor, at)
        return list(login_statuses(devices).values())


def approve_every_login(*, actor: Actor, at: datetime) -> int:
    """Approve what the tenant's devices have now, for data that was written past the services. Returns how many."""
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
    """A new device with a login: attaching it is the approval, if the actor may. The caller has called lock_readers."""
    statuses = login_statuses([device])
    if not statuses[device.pk].destination.credential_sets:
        return
    if may_approve(actor):
        _approve([device], statuses, actor, at)
    else:
        _record_hold(statuses[device.pk], actor, at)


def accept_certificate(*, device: Device, certificate: str, actor: Actor, at: datetime) -> None:
    """Pin the certificate that a router presents now, as the approver has read it.

    Locks: the approval. Raises LoginApprovalRefused, StandingAccessRefused, DestinationChanged.
    """
    require_login_approval(actor)
    with transaction.atomic():
        row = LoginApproval.objects.select_for_update().filter(device=device).first()
        if row is None or not certificate or row.presented_certificate != certificate:
            raise DestinationChanged(
                message=_("Nothing was accepted: the device presents another certificate by now.")
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


def note_certificates(
    *,
    accepted: Mapping[UUID, str],
    presented: Mapping[UUID, str],
    actor: Actor,
    at: datetime,
) -> None:
    """What an agent met: certificates of routers that took a login, and others that it sent none to.

    The first accepted one is pinned; a pin changes only by ``accept_certificate``. Only agents that are given the
    device's logins are believed. Locks: the approvals.
    """
    ids = {*accepted, *presented}
    if not ids:
        return
    rows = LoginApproval.objects.select_for_update(of=("self",)).filter(device__in=ids, tls=True)
    acts, touched = [], []
    for row in rows.select_related("device").order_by("pk"):
        if str(actor.id) not in row.agents:
            continue
        took, met = accepted.get(row.device_id, ""), presented.get(row.device_id, "")
        if took and not row.certificate:
            row.certificate, row.certificate_at = took, at
            acts.append(_act("device.certificate_pinned", row, actor, at, {"certificate": took}))
        elif took and took == row.certificate and row.presented_certificate:
            row.presented_certificate, row.presented_at = "", None
        elif met and met not in {row.certificate, row.presented_certificate}:
            row.presented_certificate, row.presented_at = met, at
            both = {"certificate": [row.certificate, met]}
            acts.append(_act("device.certificate_changed", row, actor, at, both))
        else:
            continue
        touched.append(row)
    LoginApproval.objects.bulk_update(touched, _CERTIFICATE_FIELDS)
    record_all(acts)


def _locked_status(device_id: UUID) -> LoginStatus:
    device = Device.objects.select_for_update(no_key=True).get(pk=device_id)
    return login_statuses([device])[device_id]


def _settle(before: LoginStatus, after: LoginStatus, actor: Actor, at: datetime) -> None:
    row = after.approval
    if row is None:
        # Attaching the first login is the approval; a login that is there and was never approved stays held.
        if after.destination.credential_sets and not before.destination.credential_sets:
            device = Device.objects.get(pk=after.destination.device_id)
            approve_first_login(device, actor=actor, at=at)
        return
    kept = _values(row)
    _follow(row, before.destination, after.destination, actor)
    is_changed = _values(row) != kept
    if is_changed:
        if _values(row)[:3] != kept[:3]:
            _unpin(row)
        if may_approve(actor):
            row.approved_by, row.approved_at = actor.as_dict(), at
        row.save()
    if may_approve(actor) and is_changed:
        record_all([_act("device.login_approved", row, actor, at, _detail(row))])
    elif set(after.reasons) - set(before.reasons) and not may_approve(actor):
        _record_hold(after, actor, at)


def _follow(row: LoginApproval, was: Destination, now: Destination, actor: Actor) -> None:
    """Approve what this act changed, and nothing that was changed before it."""
    if may_approve(actor):
        if was.address != now.address:
            row.address = now.address
        if was.port != now.port:
            row.port = now.port
        if was.tls != now.tls:
            row.tls = now.tls
        if was.credential_sets != now.credential_sets:
            added = now.credential_sets - was.credential_sets
            kept = now.credential_sets & set(row.credential_sets)
            row.credential_sets = sorted(kept | added)
    row.agents = _agents(row.agents, was.agents, now.agents, actor)


def _agents(
    approved: Sequence[str], had: Collection[str], has: Collection[str], actor: Actor
) -> list[str]:
    """Those approved before that still read it, and those that an actor with the right has added."""
    added = set(has) - set(had) if may_approve(actor) else set()
    return sorted((set(approved) & set(has)) | added)


def _agent_ids() -> dict[UUID, set[str]]:
    return {pk: {str(row.agent_id) for row in readers} for pk, readers in readers_of().items()}


def _values(row: LoginApproval) -> tuple[Any, ...]:
    return row.address, row.port, row.tls, list(row.credential_sets), list(row.agents)


def _unpin(row: LoginApproval) -> None:
    """Another endpoint has another certificate: the next accepted login pins it."""
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
        _act("device.login_approved", row, actor, at, _detail(row)) for row in (*created, *changed)
    )


def _detail(row: LoginApproval) -> dict[str, Any]:
    return {
        "address": str(row.address),
        "port": row.port,
        "tls": row.tls,
        "credential_sets": row.credential_sets,
        "agents": row.agents,
    }


def _act(
    action: str, row: LoginApproval, actor: Actor, at: datetime, detail: Mapping[str, Any]
) -> Act:
    return Act(action, actor, ("device", row.device_id), at, {"name": row.device.name, **detail})


def _record_hold(status: LoginStatus, actor: Actor, at: datetime) -> None:
    record(
        action="device.login_held",
        actor=actor,
        entity=("device", status.destination.device_id),
        at=at,
        detail={"reasons": [str(reason) for reason in status.reasons]},
    )
