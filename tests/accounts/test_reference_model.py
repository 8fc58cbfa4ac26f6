"""A second, independent account of who may do what; the real one agrees on random questions.

The table is written as a person would tell it, role by role, and shares no code with ``apps.accounts``.
"""

import os
import random

from apps.accounts.access import Access
from apps.accounts.actors import Actor
from apps.accounts.choices import Role
from apps.accounts.models import User
from apps.accounts.permissions import Permission
from apps.tenancy.models import Tenant

DECISIONS = 50_000
LOOK = {
    *("inventory.view", "topology.view", "telemetry.view", "agents.view"),
    *("alerts.view", "incidents.view", "self"),
}
TOLD = {
    "noc": LOOK | {"incidents.act", "alerts.tune", "webhooks.view", "members.view"},
    "readonly": LOOK,
    "auditor": LOOK | {"audit.view", "webhooks.view", "members.view"},
}


def expected(role: str, permission: str) -> bool:
    if role == "admin":
        return True
    return permission in TOLD.get(role, ())


def test_the_real_table_agrees_on_every_random_question():
    seed = int(os.environ.get("ISPVM_SEED", random.SystemRandom().randrange(2**32)))
    rng = random.Random(seed)
    roles = [*Role.values, "", "Admin", "owner", "platform", "noc "]
    permissions = list(Permission)

    for _ in range(DECISIONS):
        role, permission = rng.choice(roles), rng.choice(permissions)
        access = Access(User(), Tenant(), role, Actor.system("test"))
        assert access.may(permission) == expected(role, permission.value), (seed, role, permission)


def test_every_permission_is_told_of():
    assert {p.value for p in Permission} - LOOK == {
        *("inventory.change", "topology.change", "agents.manage", "alerts.tune", "incidents.act"),
        *("webhooks.view", "webhooks.manage", "credentials.manage", "tokens.manage"),
        *("members.view", "members.manage", "audit.view"),
    }
