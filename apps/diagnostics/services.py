"""Connection tests: requested by a user, audited, run once by the agent of the device."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from agent.collectors.registry import facts_of
from agent.protocol.sealing import SealedBoxInvalid
from apps.agents.models import Agent
from apps.agents.selectors import assigned_device_ids, device_ids_by_agent, get_agent, is_alive
from apps.agents.services import ApprovedCredentials, login_document, sealed_secrets
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.core.errors import NotVisible
from apps.diagnostics.choices import TestOutcome, TestState
from apps.diagnostics.errors import NoAgent, TestInProgress, TestNotRunning, TooManyTests
from apps.diagnostics.models import ConnectionTest
from apps.diagnostics.selectors import open_tests
from apps.inventory.errors import LoginHeld
from apps.inventory.models import Device
from apps.inventory.services import require_login_approval
from apps.tenancy.locks import TenantLock, lock
from apps.vault.choices import Purpose
from apps.vault.models import CredentialSet
from apps.vault.services import open_credential_set, take_lease

#: From the request to the result; agents poll every few seconds and try for ten seconds at most.
TEST_TIMEOUT = timedelta(seconds=45)
LOGIN_TIMEOUT_SECONDS = 10
MAX_PER_MINUTE = 20
MAX_STORED_PER_DEVICE = 20


def request_test(
    *,
    device: Device,
    credential_set: CredentialSet | None = None,
    actor: Actor,
    at: datetime,
) -> ConnectionTest:
    """Request that the agent of a device logs in to it, with this login or with the device's own.

    The device's logins are sent only to an approved destination; another login only by an actor who may approve that.
    Audited before the test runs. Locks: the tenant's tests, the device. Raises NoAgent, TestInProgress, TooManyTests,
    LoginHeld, LoginApprovalRefused, ValidationError.
    """
    facts = facts_of(device.collector)
    if credential_set is not None and credential_set.kind not in facts.credential_kinds:
        raise ValidationError({"credential_set": f"Not a login of {facts.label}."})
    agent = _agent_of(device, at)
    approved = ApprovedCredentials(agent, [device])
    status = approved.statuses[device.id]
    is_own = credential_set is None or credential_set in approved.for_device(device.id)
    if (
        approved.is_held(device.id)
        if credential_set is None
        else not is_own and not status.may_test_other_credentials(agent.id)
    ):
        raise LoginHeld(message=_("The test did not run: the login's destination is not approved."))
    if not is_own:
        require_login_approval(actor)
        if not agent.is_host_approved:
            raise LoginHeld(message=_("The test did not run: the agent's host is not approved."))
    with transaction.atomic():
        lock(TenantLock.CONNECTION_TESTS)  # two concurrent requests would both count too few
        if open_tests(at).filter(device=device).exists():
            raise TestInProgress(message="A connection test of this device is running already.")
        recent = ConnectionTest.objects.filter(requested_at__gt=at - timedelta(minutes=1))
        if recent.count() >= MAX_PER_MINUTE:
            raise TooManyTests(message=f"At most {MAX_PER_MINUTE} connection tests per minute.")
        test = ConnectionTest.objects.create(
            device=device,
            agent=agent,
            destination=status.destination.digest,
            credential_set=credential_set,
            requested_by=actor.as_dict(),
            requested_at=at,
            expires_at=at + TEST_TIMEOUT,
        )
        _delete_old(device)
        record(
            action="connection_test.requested",
            actor=actor,
            entity=("device", device.id),
            at=at,
            detail={
                "test": str(test.id),
                "agent": str(test.agent_id),
                "credential_set": str(credential_set.id) if credential_set else None,
            },
        )
    return test


def claim_test(*, agent_id: UUID, at: datetime) -> dict[str, Any] | None:
    """The next test for this agent, with the logins encrypted for it; None when there is none.

    Each test is claimed once. Locks: the test's row. Raises NotVisible.
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
        test.state, test.started_at = TestState.RUNNING, at
        if test.device_id not in assigned_device_ids(agent_id):
            test.expires_at = at  # assigned to another agent since
        test.save(update_fields=["state", "started_at", "expires_at"])
        return _job(test, agent, at) if test.expires_at > at else None


def record_result(
    *, test_id: UUID, agent_id: UUID, result: Mapping[str, Any], at: datetime
) -> ConnectionTest:
    """Store an agent's result. Idempotent for the same outcome. Raises NotVisible, TestNotRunning."""
    with transaction.atomic():
        test = ConnectionTest.objects.select_for_update().filter(pk=test_id, agent=agent_id).first()
        if test is None:
            raise NotVisible
        if test.state == TestState.DONE and test.outcome == result["outcome"]:
            return test
        if test.state != TestState.RUNNING or test.expires_at <= at:
            raise TestNotRunning(
                message="The test is not running: it expired or has a result already."
            )
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
    online = [a for a in Agent.objects.filter(pk__in=ids).order_by("pk") if is_alive(a, at)]
    if not online:
        raise NoAgent(message="No online agent is assigned to this device.")
    return online[0]


def _job(test: ConnectionTest, agent: Agent, at: datetime) -> dict[str, Any]:
    device = test.device
    approved = ApprovedCredentials(agent, [device])
    rows = approved.for_device(device.id)
    if test.credential_set is not None and test.credential_set not in rows:
        # Requested by a user who may send it there, and for this destination only.
        is_same_destination = test.destination == approved.statuses[device.id].destination.digest
        rows = [test.credential_set] if is_same_destination and agent.is_host_approved else []
    elif test.credential_set is not None:
        rows = [test.credential_set]
    if device.id in approved.unsupported:
        rows = []
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
            secrets = open_credential_set(credential_set=row, lease=lease)
            sealed = sealed_secrets(row.kind, secrets, key=key, device_id=str(device.id))
        except SealedBoxInvalid:  # 32 bytes that are not a usable point on the curve
            continue
        credentials.append({**login_document(row), **sealed})
    return {
        "id": str(test.id),
        "kind": "connection_test",
        "timeout_s": LOGIN_TIMEOUT_SECONDS,
        "device": {
            "id": str(device.id),
            "collector": device.collector,
            "address": device.management_address,
            "port": device.api_port,
            "tls": device.api_tls,
            "tls_certificate": approved.certificate(device.id),
            "credentials": credentials,
        },
    }


def _delete_old(device: Device) -> None:
    newest_first = ConnectionTest.objects.filter(device=device).order_by("-requested_at", "-id")
    old = list(newest_first.values_list("pk", flat=True)[MAX_STORED_PER_DEVICE:])
    ConnectionTest.objects.filter(pk__in=old).delete()


__all__ = [
    "NoAgent",
    "TestInProgress",
    "TestNotRunning",
    "TestOutcome",
    "TooManyTests",
    "claim_test",
    "record_result",
    "request_test",
]
