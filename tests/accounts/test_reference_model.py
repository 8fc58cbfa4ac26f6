"""An independent reference model of permissions, compared with the implementation on random cases.

The table is written as a person would tell it, role by role, and shares no code with ``apps.accounts``.
"""

import os
import random

import pytest

from apps.accounts.models import User
from apps.authorization.access import Access
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.authorization.permissions import Permission
from apps.inventory.models import Device, DeviceGrant, Interface, Site, SiteGrant
from apps.inventory.services import grant
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from tests.inventory.factories import ACTOR, AT, make_device, make_site

DECISIONS = 50_000
VIEW_PERMISSIONS = {
    *("inventory.view", "topology.view", "telemetry.view", "agents.view"),
    *("alerts.view", "incidents.view", "maintenance.view", "self"),
}
EXPECTED_PERMISSIONS = {
    "noc": VIEW_PERMISSIONS
    | {"incidents.act", "alerts.tune", "webhooks.view", "members.view"}
    | {"diagnostics.run", "maintenance.plan"},
    "readonly": VIEW_PERMISSIONS,
    "auditor": VIEW_PERMISSIONS | {"audit.view", "webhooks.view", "members.view"},
    # A platform operator in an access session: everything but standing access.
    "platform": VIEW_PERMISSIONS
    | {"audit.view", "webhooks.view", "webhooks.manage", "members.view", "agents.manage"}
    | {"incidents.act", "alerts.tune", "inventory.change", "topology.change"}
    | {"diagnostics.run", "maintenance.plan"},
}


LIMITED = {
    "inventory.view",
    "telemetry.view",
    "alerts.view",
    "incidents.view",
    "incidents.act",
    "maintenance.view",
    "maintenance.plan",
    "self",
}


def expected(
    role: str,
    permission: str,
    *,
    is_limited: bool,
    scopes: frozenset[str] | None,
    is_token: bool,
) -> bool:
    if is_limited and permission not in LIMITED:
        return False
    if scopes is not None and permission not in scopes:
        return False
    if permission == "logins.approve" and is_token and scopes is None:
        return False  # only by name
    return role == "admin" or permission in EXPECTED_PERMISSIONS.get(role, ())


def randomness() -> tuple[int, random.Random]:
    seed = int(os.environ.get("ISPVM_SEED", random.SystemRandom().randrange(2**32)))
    return seed, random.Random(seed)


def test_implementation_agrees_with_the_model_on_random_cases(record_property):
    seed, rng = randomness()
    roles = [*Role.values, "platform", "", "Admin", "owner", "Platform", "noc "]
    permissions = list(Permission)

    for _ in range(DECISIONS):
        role, permission, is_limited = (
            rng.choice(roles),
            rng.choice(permissions),
            rng.random() < 0.3,
        )
        some = frozenset(p.value for p in rng.sample(permissions, rng.randrange(6)))
        scopes = some if rng.random() < 0.3 else None
        is_token = rng.random() < 0.5
        actor = Actor("token" if is_token else "user", "1", "test")
        access = Access(User(), Tenant(), role, actor, is_limited, scopes)
        expected_rows = expected(
            role, permission.value, is_limited=is_limited, scopes=scopes, is_token=is_token
        )
        assert access.may(permission) == expected_rows, (seed, role, permission, is_limited, scopes)
    record_property("bar", f"T6: {DECISIONS} decisions agree (seed {seed})")


@pytest.mark.django_db
def test_visible_rows_agree_with_the_model(acme, acme_noc):
    """Sites, routers and ports as plain dicts; a row is seen if it or anything above it was granted."""
    seed, rng = randomness()
    access = Access(acme_noc, acme, "noc", Actor.system("test"), is_limited=True)
    with acting_in(acme):
        above: dict[object, object] = {}
        for n in range(4):
            site = make_site(f"site{n}")
            for m in range(5):
                address = f"127.20.{n}.{m + 1}"
                device = make_device(f"r{n}-{m}", site=site, management_address=address)
                above[device] = site
                above[Interface.objects.create(device=device, name="ether1")] = device
        rows = {*above, *above.values()}
        grantable = sorted((r for r in rows if not isinstance(r, Interface)), key=str)
        for _ in range(60):
            SiteGrant.objects.all().delete()
            DeviceGrant.objects.all().delete()
            granted = rng.sample(grantable, rng.randrange(5))
            for row in granted:
                grant(user_id=acme_noc.id, row=row, actor=ACTOR, at=AT)

            visible = {
                row
                for model in (Site, Device, Interface)
                for row in access.visible(model.objects.all(), Permission.INVENTORY_VIEW)
            }

            expected_rows = {
                r for r in rows if {r, above.get(r), above.get(above.get(r))} & set(granted)
            }
            assert visible == expected_rows, (seed, granted)


def test_every_permission_is_expected():
    assert {p.value for p in Permission} - VIEW_PERMISSIONS == {
        *("inventory.change", "topology.change", "agents.manage", "alerts.tune", "incidents.act"),
        *("webhooks.view", "webhooks.manage", "credentials.manage", "logins.approve"),
        *("tokens.manage",),
        *("members.view", "members.manage", "audit.view", "tenant.manage"),
        *("diagnostics.run", "maintenance.plan"),
    }
