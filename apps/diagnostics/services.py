"""Connection tests: asked by a person, audited, tried once by the agent that watches the device."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils.translation import gettext as _

from agent.protocol.sealing import SealedBoxInvalid, seal_for
from apps.agents.models import Agent
from apps.agents.selectors import assigned_device_ids, device_ids_by_agent, get_agent, is_alive
from apps.agents.services import ReleasedLogins
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.core.errors import NotVisible
from apps.diagnostics.choices import TestOutcome, TestState
from apps.diagnostics.errors import NoAgent, TestOver, TestUnderWay, TooManyTests
from apps.diagnostics.models import ConnectionTest
from apps.diagnostics.selectors import open_tests
from apps.inventory.errors import LoginHeld
from apps.inventory.models import Device
from apps.inventory.services import require_login_approval
from apps.tenancy.context import require_tenant_id
from apps.vault.choices import CredentialKind, Purpose
from apps.vault.models import CredentialSet
from apps.vault.services import open_credential_set, take_lease

#: From the question to the result; agents ask every few seconds and try for ten at most.
PATIENCE = timedelta(seconds=45)
TRY_SECONDS = 10
MOST_A_MINUTE = 20
KEPT_PER_DEVICE = 20
_LOCK = 0x15B_D1A6


def request_test(
    *,
    device: Device,
    credential_set: CredentialSet | None = None,
    actor: Actor,
    at: datetime,
) -> ConnectionTest:
    """Ask the agent that watches a device to log in on it: with this login, or with the device's own.

    A login of the device goes only where it is approved; another one only by an actor who may approve that.
    Audited before anybody tries. Locks: the tenant's tests, the device. Raises NoAgent, TestUnderWay, TooManyTests,
    LoginHeld, LoginApprovalRefused, ValidationError.
    """
    if credential_set is not None and credential_set.kind != CredentialKind.ROUTEROS_API:
        raise ValidationError({"credential_set": "Only RouterOS logins can be tried."})
    agent = _agent_of(device, at)
    released = ReleasedLogins(agent, [device])
    status = released.statuses[device.id]
    is_own = credential_set is None or credential_set in released.of(device.id)
    if (
        released.is_held(device.id)
        if credential_set is None
        else not is_own and not status.may_receive_another_login(agent.id)
    ):
        raise LoginHeld(
            message=_("Nothing was tried: the login is held until its destination is approved.")
        )
    if not is_own:
        require_login_approval(actor)
        if not agent.is_host_approved:
            raise LoginHeld(message=_("Nothing was tried: nobody has approved the agent's host."))
    with transaction.atomic():
        with connection.cursor() as cursor:  # two askers at once would both count too few
            key = require_tenant_id().int & 0x7FFFFFFF
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, key])
        if open_tests(at).filter(device=device).exists():
            raise TestUnderWay(message="The device is being tried already.")
        lately = ConnectionTest.objects.filter(requested_at__gt=at - timedelta(minutes=1))
        if lately.count() >= MOST_A_MINUTE:
            raise TooManyTests(message=f"At most {MOST_A_MINUTE} tests a minute.")
        made = ConnectionTest.objects.create(
            device=device,
            agent=agent,
            destination=status.destination.digest,
            credential_set=credential_set,
            requested_by=actor.as_dict(),
            requested_at=at,
            expires_at=at + PATIENCE,
        )
        _forget_old(device)
        record(
            action="connection_test.requested",
            actor=actor,
            entity=("device", device.id),
            at=at,
            detail={
                "test": str(made.id),
                "agent": str(made.agent_id),
                "credential_set": str(credential_set.id) if credential_set else None,
            },
        )
    return made


def take_test(*, agent_id: UUID, at: datetime) -> dict[str, Any] | None:
    """The next test for this agent, with its logins sealed to it; None when there is none.

    Taken once, whoever asks. Locks: the test's row. Raises NotVisible.
    """
    agent = get_agent(agent_id)
    with transaction.atomic():
        test = (
            open_tests(at)
            .select_for_update(skip_locked=True, of=("self",))
            .select_related("device", "credential_set")
            .filter(agent=agent_id, state=TestState.WAITING)
            .order_by("requested_at")
            .first()
        )
        if test is None:
            return None
        test.state, test.taken_at = TestState.RUNNING, at
        if test.device_id not in assigned_device_ids(agent_id):
            test.expires_at = at  # it is another agent's by now
        test.save(update_fields=["state", "taken_at", "expires_at"])
        return _job(test, agent, at) if test.expires_at > at else None


def record_result(
    *, test_id: UUID, agent_id: UUID, result: Mapping[str, Any], at: datetime
) -> ConnectionTest:
    """Keep what an agent found. The same again changes nothing. Raises NotVisible, TestOver."""
    with transaction.atomic():
        test = ConnectionTest.objects.select_for_update().filter(pk=test_id, agent=agent_id).first()
        if test is None:
            raise NotVisible
        if test.state == TestState.DONE and test.outcome == result["outcome"]:
            return test
        if test.state != TestState.RUNNING or test.expires_at <= at:
            raise TestOver(message="Nobody waits for this result any more.")
        for name, value in result.items():
            setattr(test, name, value)
        test.state, test.finished_at = TestState.DONE, at
        test.save()
        record(
            action="connection_test.finished",
            actor=Actor.agent(agent_id, str(get_agent(agent_id))),
            entity=("device", test.device_id),
            at=at,
            detail={"test": str(test.id), "outcome": str(test.outcome)},
        )
    return test


def _agent_of(device: Device, at: datetime) -> Agent:
    ids = [pk for pk, devices in device_ids_by_agent().items() if device.id in devices]
    alive = [a for a in Agent.objects.filter(pk__in=ids).order_by("pk") if is_alive(a, at)]
    if not alive:
        raise NoAgent(message="No agent that is heard watches this device.")
    return alive[0]


def _job(test: ConnectionTest, agent: Agent, at: datetime) -> dict[str, Any]:
    device = test.device
    released = ReleasedLogins(agent, [device])
    rows = released.of(device.id)
    if test.credential_set is not None and test.credential_set not in rows:
        # Asked for by somebody who may send it there, and for this destination alone.
        is_as_asked = test.destination == released.statuses[device.id].destination.digest
        rows = [test.credential_set] if is_as_asked and agent.is_host_approved else []
    elif test.credential_set is not None:
        rows = [test.credential_set]
    key = bytes(agent.sealing_public_key or b"")
    lease = take_lease(
        purpose=Purpose.CONNECTION_TEST,
        holder=("agent", agent.id),
        terms=str(test.id),
        actor=Actor.agent(agent.id, agent.name),
        at=at,
        detail={"test": str(test.id), "credential_sets": sorted(str(row.id) for row in rows)},
    )
    credentials = []
    for row in rows:
        try:
            sealed = seal_for(
                key, open_credential_set(credential_set=row, lease=lease).encode(), str(device.id)
            )
        except SealedBoxInvalid:  # 32 bytes that are no usable point on the curve
            continue
        credentials.append(
            {
                "credential_set": str(row.id),
                "username": row.username,
                "sealed_password": sealed,
            }
        )
    return {
        "id": str(test.id),
        "kind": "connection_test",
        "timeout_s": TRY_SECONDS,
        "device": {
            "id": str(device.id),
            "address": device.management_address,
            "port": device.api_port,
            "tls": device.api_tls,
            "tls_certificate": released.certificate(device.id),
            "credentials": credentials,
        },
    }


def _forget_old(device: Device) -> None:
    kept = ConnectionTest.objects.filter(device=device).order_by("-requested_at", "-id")
    old = list(kept.values_list("pk", flat=True)[KEPT_PER_DEVICE:])
    ConnectionTest.objects.filter(pk__in=old).delete()


__all__ = [
    "NoAgent",
    "TestOutcome",
    "TestOver",
    "TestUnderWay",
    "TooManyTests",
    "record_result",
    "request_test",
    "take_test",
]
