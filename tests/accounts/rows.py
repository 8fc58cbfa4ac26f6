"""One row of every REST resource in the tenant that the caller acts in: what the access matrix asks for.

A resource that is not here fails the matrix.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from django.contrib.sessions.backends.db import SessionStore
from django.db.models import Model

from apps.accounts.invitations import invite
from apps.accounts.models import ApiToken, BreakGlass, Membership, OpenSession, User
from apps.accounts.services import issue_token
from apps.agents.models import Agent
from apps.alerts.models import Alert, AlertRule, RuleOverride
from apps.alerts.services import install_pack
from apps.audit.models import Record
from apps.audit.services import record
from apps.core import clock
from apps.core.messages import Message
from apps.delivery.models import Delivery
from apps.diagnostics.models import ConnectionTest
from apps.incidents.models import Incident
from apps.inventory import models as inventory
from apps.inventory import services as inventory_services
from apps.maintenance.services import plan_window
from apps.tenancy.context import require_tenant_id
from apps.tenancy.models import Tenant
from apps.topology.models import DependencyGroup
from apps.vault.models import CredentialSet
from apps.webhooks.models import Endpoint
from tests import test_list_costs as lists

WHO = lists.WHO


_numbers = count(1)


def _first(make: Callable[[int], Any], model: type[Model]) -> Callable[[], UUID]:
    number = next(_numbers)  # names are taken once

    def create() -> UUID:
        rows: Any = model._default_manager
        if not rows.exists():
            make(number)
        return rows.first().pk

    return create


def tenant() -> Tenant:
    return Tenant.objects.get(pk=require_tenant_id())


def member() -> User:
    """A member of the tenant."""
    return User.objects.filter(memberships__tenant_id=require_tenant_id()).order_by("email")[0]


def token() -> UUID:
    old = ApiToken.objects.filter(tenant=tenant(), name="old").first()
    return (old or issue_token(tenant=tenant(), user=member(), name="old", **WHO)[0]).pk


def open_session() -> UUID:
    """A session of the caller (in these tests the admin)."""
    opened = OpenSession.objects.filter(user=member()).first()
    if opened is None:
        now = clock.now()
        store = SessionStore()
        store.create()
        opened = OpenSession.objects.create(
            session_id=store.session_key,
            user=member(),
            tenant_id=require_tenant_id(),
            method="password",
            device="Firefox, Linux",
            address="192.0.2.7",
            opened_at=now,
            last_seen_at=now,
        )
    return opened.pk


def rule() -> UUID:
    if not AlertRule.objects.exists():
        install_pack(pack="first", **WHO)
    return AlertRule.objects.order_by("key")[0].pk


def override() -> UUID:
    fields = {"rule_id": rule(), "level": "tenant", "changes": {}}
    return RuleOverride.objects.get_or_create(**fields, defaults={"updated_at": clock.now()})[0].pk


def alert() -> UUID:
    fields = {
        "entity_type": "device",
        "entity_id": DEVICE(),
        "state": "firing",
        "severity": "critical",
        "summary": "cr1 does not respond to probes",
        "summary_message": Message("alerts.summary.unreachable", {"entity": "cr1"}),
        "observation": {
            "metric": "device.up",
            "value": "0",
            "ts": None,
            "threshold": 1.0,
            "for_seconds": 20.0,
            "override": "",
        },
    }
    now = clock.now()
    summary = Message("alerts.summary.unreachable", {"entity": "cr1"})
    defaults = {"since": now, "fired_at": now, "summary_message": summary}
    return Alert.objects.get_or_create(rule_id=rule(), **fields, defaults=defaults)[0].pk


def maintenance_window() -> UUID:
    now = clock.now()
    window = plan_window(
        title="Router swap",
        starts_at=now,
        ends_at=now + timedelta(hours=1),
        device_ids=[DEVICE()],
        **WHO | {"at": now},
    )
    return window.pk


def incident() -> UUID:
    now = clock.now()
    return Incident.objects.create(
        number=Incident.objects.count() + 1,
        status="open",
        severity="critical",
        title="cr1 is down",
        started_at=now,
        opened_at=now,
        root_type="device",
        root_id=DEVICE(),
        root_name="cr1",
        confidence=0.9,
    ).pk


def dead_letter() -> UUID:
    now = clock.now()
    return Delivery.objects.create(
        destination_id=ENDPOINT(),
        event_id=uuid4(),
        event_type="incident.opened",
        body=b"{}",
        body_sha256="0" * 64,
        created_at=now,
        state="dead",
        dead_at=now,
        dead_reason="exhausted",
    ).pk


def site_grant() -> UUID:
    return inventory_services.grant(
        user_id=member().pk, row=inventory.Site.objects.get(pk=ROWS["sites"]()), **WHO
    ).pk


def device_grant() -> UUID:
    return inventory_services.grant(
        user_id=member().pk, row=inventory.Device.objects.get(pk=DEVICE()), **WHO
    ).pk


def invitation() -> UUID:
    return invite(email=f"new{next(_numbers)}@x.example", role="noc", is_limited=False, **WHO)[0].pk


def audit_record() -> UUID:
    record(action="site.changed", entity=("site", uuid4()), **WHO)
    return Record.objects.order_by("-sequence")[0].pk


def access_session() -> UUID:
    now = clock.now()
    return BreakGlass.objects.create(
        user=member(),
        reason="looking after a ticket",
        opened_at=now,
        expires_at=now + timedelta(minutes=5),
        closed_at=now,
    ).pk


DEVICE = _first(lists.device, inventory.Device)
ENDPOINT = _first(lists.endpoint, Endpoint)

#: The path below /api/v1/ -> its row.
ROWS: Mapping[str, Callable[[], UUID]] = {
    "tokens": token,
    "audit-logs": audit_record,
    "tenants": require_tenant_id,
    "invitations": invitation,
    "break-glass": access_session,
    "sessions": open_session,
    "users": lambda: member().pk,
    "memberships": lambda: Membership.objects.filter(tenant=tenant()).order_by("pk")[0].pk,
    "grants/sites": site_grant,
    "grants/devices": device_grant,
    "credential-sets": _first(lists.credential_set, CredentialSet),
    "diagnostics/connection-tests": _first(lists.connection_test, ConnectionTest),
    "sites": _first(lists.site, inventory.Site),
    "devices": DEVICE,
    "interfaces": _first(lists.interface, inventory.Interface),
    "bgp-peers": _first(lists.bgp_peer, inventory.BgpPeer),
    "ospf-neighbors": _first(lists.ospf_neighbor, inventory.OspfNeighbor),
    "links": _first(lists.link, inventory.Link),
    "probe-targets": _first(lists.probe_target, inventory.ProbeTarget),
    "services": _first(lists.service, inventory.Service),
    "topology/dependency-groups": _first(lists.dependency_group, DependencyGroup),
    "agents": _first(lists.agent, Agent),
    "alert-rules": rule,
    "alerts": alert,
    "maintenance-windows": maintenance_window,
    "incidents": incident,
    "webhook-endpoints": ENDPOINT,
    "webhook-deliveries": dead_letter,
    "webhook-dead-letters": dead_letter,
}

#: Rows of ``member`` alone: to everybody else of the tenant they are absent.
PERSONAL = frozenset({"sessions"})

#: Ids further down a path, by their name in it.
NESTED: Mapping[str, Callable[[], UUID]] = {"override_id": override}

#: The first part of a page's address -> what the ids in it are of. A page that is not here fails the matrix.
PAGE_RESOURCES: Mapping[str, str] = {
    "agents": "agents",
    "devices": "devices",
    "sites": "sites",
    "incidents": "incidents",
    "maintenance": "maintenance-windows",
    "webhooks": "webhook-deliveries",
}
