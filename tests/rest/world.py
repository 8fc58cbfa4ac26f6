"""Two tenants with a row of every resource: responses in acme must never contain text of globex."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.apps import apps
from django.db import models, transaction
from rest_framework.test import APIClient

from apps.accounts.models import ApiToken, Membership, User
from apps.authorization.choices import Role
from apps.inventory import services as inventory
from apps.inventory.models import Device
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant, TenantModel
from tests.accounts import rows
from tests.clients import bearer

#: Patterns of internal details that no response may contain.
INSIDES = re.compile(
    r"Traceback|\.py\b|site-packages|psycopg|django\.|rest_framework|/usr/|/root|SELECT |INSERT INTO"
    r"|relation \"|syntax error|line \d+, in"
)
#: Fields that name a row; in globex they hold a canary.
NAMES = {"name", "title", "summary", "note", "root_name", "username", "label", "description"}
CALLERS = ("nobody", "admin", "readonly", "limited")


@dataclass
class World:
    acme: Tenant
    clients: Mapping[str, APIClient]
    #: Path below /api/v1/ -> an id of a row there.
    own: Mapping[str, UUID]
    foreign: Mapping[str, UUID]
    globex: Tenant
    #: Words that stand in globex alone.
    canaries: set[str] = field(default_factory=set)

    def header(self, caller: str) -> dict[str, str]:
        """The ``Authorization`` of a caller."""
        text = self.clients[caller]._credentials.get("HTTP_AUTHORIZATION", "")
        found = text or self.clients[caller].defaults.get("HTTP_AUTHORIZATION", "")
        return {"Authorization": found} if found else {}

    def leaks(self, answer: str, params: str) -> set[str]:
        """Words of globex in an answer that were not in the question."""
        shown, sent = answer.lower(), params.lower()
        return {word for word in self.canaries if word in shown and word not in sent}


def build(acme: Tenant, globex: Tenant) -> World:
    """A row of every resource in both; globex's carry canaries. Made once per test."""
    people = {role: _member(acme, role) for role in (Role.ADMIN, Role.READONLY)}
    _member(globex, Role.ADMIN)
    own = _rows(acme)
    foreign = _rows(globex)
    with acting_in(acme):
        limited = _member(acme, Role.NOC, name="limited", is_limited=True)
        device = Device.objects.get(pk=own["devices"])
        inventory.grant(user_id=limited.pk, row=device, **rows.WHO)
    clients = {
        "nobody": APIClient(),
        "admin": bearer(acme, people[Role.ADMIN]),
        "readonly": bearer(acme, people[Role.READONLY]),
        "limited": bearer(acme, limited),
    }
    return World(acme, clients, own, foreign, globex, _plant(globex))


def _member(tenant: Tenant, role: Role, name: str = "", *, is_limited: bool = False) -> User:
    user = User.objects.create_user(
        f"{name or role}@{tenant.slug}.example", "correct-horse-battery"
    )
    Membership.objects.create(tenant=tenant, user=user, role=role, is_limited=is_limited)
    return user


def _rows(tenant: Tenant) -> dict[str, UUID]:
    with acting_in(tenant):
        return {path: make() for path, make in rows.ROWS.items()}


def _plant(globex: Tenant) -> set[str]:
    """Give every row of globex words that nobody else has; answers them with every id."""
    words = {"globex"}
    words |= {
        str(pk) for pk in Membership.objects.filter(tenant=globex).values_list("id", flat=True)
    }
    words |= {str(pk) for pk in ApiToken.objects.filter(tenant=globex).values_list("id", flat=True)}
    words.add(str(globex.id))
    with acting_in(globex):
        for model in _tenant_models():
            named = [f.name for f in model._meta.concrete_fields if _is_name(f)]
            for row in model._default_manager.all():
                words.add(str(row.pk))
                fresh = {name: f"canary-{uuid4().hex}" for name in named}
                if fresh:
                    model._default_manager.filter(pk=row.pk).update(**fresh)
                    words |= set(fresh.values())
    return words


def _tenant_models() -> Iterator[type[models.Model]]:
    return (
        m for m in apps.get_models() if issubclass(m, TenantModel) and m._meta.app_label != "audit"
    )


def _is_name(candidate: models.Field) -> bool:
    is_text = isinstance(candidate, models.CharField | models.TextField)
    is_long = (candidate.max_length or 999) >= len("canary-") + 32
    return candidate.name in NAMES and is_text and is_long and not candidate.choices


def undone(call: Callable[[], Any]) -> Any:
    """The answer of a call whose effects are taken back: each case meets the same world."""
    with transaction.atomic():
        answer = call()
        transaction.set_rollback(True)
    return answer


def words_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
