"""Reads of connection tests."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from agent.collectors.registry import facts_of
from apps.authorization.access import Access
from apps.authorization.limits import rows_within
from apps.authorization.permissions import Permission
from apps.diagnostics.choices import TestOutcome, TestState
from apps.diagnostics.models import ConnectionTest
from apps.inventory.models import Device

_OPEN = (TestState.WAITING, TestState.RUNNING)


def state_of(test: ConnectionTest, at: datetime) -> TestState:
    """The state at a moment."""
    if test.state in _OPEN and test.expires_at <= at:
        return TestState.EXPIRED
    return TestState(test.state)


def outcome_text(test: ConnectionTest, collector: str) -> str:
    """The outcome, with the usual reason on devices of this collector."""
    text = facts_of(collector).outcomes.get(test.outcome)
    return _(text) if text else str(TestOutcome(test.outcome).label) if test.outcome else ""


def visible_tests(access: Access) -> QuerySet[ConnectionTest]:
    """The tests that this member may see, newest first."""
    rows = access.visible(ConnectionTest.objects.all(), Permission.DIAGNOSTICS_RUN)
    return rows.order_by("-requested_at", "-id")


def open_tests(at: datetime) -> QuerySet[ConnectionTest]:
    """Tests that have neither finished nor expired."""
    return ConnectionTest.objects.filter(state__in=_OPEN, expires_at__gt=at)


def waiting_count(agent_id: UUID, at: datetime) -> int:
    """Number of tests that wait for an agent."""
    return open_tests(at).filter(agent=agent_id, state=TestState.WAITING).count()


def last_test(access: Access, device_id: UUID) -> ConnectionTest | None:
    """The newest test of a device, if this member may see it."""
    return visible_tests(access).filter(device=device_id).first()


def tests_within(user_id: UUID) -> Q:
    """Tests of the routers that a member with a limited grant sees."""
    return Q(device__in=Device.objects.filter(rows_within(Device, user_id)).values("pk"))
