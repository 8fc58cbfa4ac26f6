"""How long rows are kept: every table that grows has a rule, and the keeper deletes what is past it.

The keeper is the owner of the tables, and row-level security is forced on it too: it deletes inside one tenant at a
time.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError, OperationalError, connections, transaction

from apps.tenancy.catalog import GLOBAL_TABLES
from apps.tenancy.context import TENANT_SETTING

log = structlog.get_logger(__name__)

#: PostgreSQL's code for a lock that was not had within ``lock_timeout``.
LOCK_NOT_AVAILABLE = "55P03"
#: PostgreSQL's code for a statement that took longer than ``statement_timeout``, or that an operator cancelled.
QUERY_CANCELED = "57014"
#: Rows per statement: short transactions, so that nothing waits long for a row and vacuum keeps up.
BATCH = 5000
#: A cancelled statement is tried again with this part of its rows, and never with fewer than the least.
SMALLER = 10
LEAST_BATCH = 50

#: Tables whose size follows from something that does not grow by itself, and what that is.
BOUNDED_TABLES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "tenancy_tenant",
                "accounts_user",
                "accounts_membership",
                "accounts_platformoperator",
                "accounts_listsetting",
                "accounts_maildomain",
                "accounts_passkeycredential",
                "mfa_authenticator",
                "socialaccount_socialaccount",
            ),
            "people and tenants: an admin makes and removes them",
        ),
        **dict.fromkeys(
            (
                "accounts_user_groups",
                "accounts_user_user_permissions",
                "auth_group",
                "auth_group_permissions",
                "auth_permission",
                "account_emailaddress",
                "account_emailconfirmation",
                "socialaccount_socialapp",
                "socialaccount_socialtoken",
                "guardian_groupobjectpermission",
                "guardian_userobjectpermission",
                "django_admin_log",
                "django_content_type",
                "django_migrations",
            ),
            "a library's own: stays empty, or as large as the code",
        ),
        **dict.fromkeys(
            (
                "inventory_bgppeer",
                "inventory_device",
                "inventory_devicecredential",
                "inventory_devicegrant",
                "inventory_interface",
                "inventory_link",
                "inventory_loginapproval",
                "inventory_ospfneighbor",
                "inventory_probetarget",
                "inventory_service",
                "inventory_site",
                "inventory_sitegrant",
                "inventory_wirealias",
                "topology_dependencygroup",
                "topology_dependencymember",
            ),
            "the network itself, and grants on it",
        ),
        **dict.fromkeys(
            ("telemetry_series", "telemetry_latest"),
            "one row per metric of an entity, and at most 500 values of a dimension",
        ),
        **dict.fromkeys(
            ("alerts_alertrule", "alerts_ruleoverride", "webhooks_endpoint", "webhooks_secret"),
            "what admins set up",
        ),
        **dict.fromkeys(
            ("agents_agent", "agents_agentdevice", "agents_agentprobing", "agents_agentsite"),
            "agents and what is assigned to them",
        ),
        "accounts_setup": "one row",
        "agents_authority": "a change of the authority adds one",
        **dict.fromkeys(
            ("vault_credentialset", "vault_platformsecret", "vault_masterkey"),
            "secrets that people set, and keys that an operator rotates",
        ),
        **dict.fromkeys(("vault_tenantkey", "vault_platformkey"), "a rotation adds one"),
        **dict.fromkeys(("audit_head", "audit_platformhead"), "the end of a chain: one per tenant"),
        "audit_verification": "one row per tenant",
        "ingest_uptime": "one row",
        "events_installation": "one row",
        "events_due": "one row per kind of work and what it is about",
        "telemetry_sample": "daily partitions, dropped as a whole: see telemetry.partitions",
    }
)

#: Tables that grow and of which nothing is deleted, with the reason.
ENDLESS_TABLES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("audit_record", "audit_platformrecord"),
        "a hash chain: a deleted record would look like tampering",
    )
)


@dataclass(frozen=True)
class Rule:
    """Rows of a table go ``kept`` after the moment that ``expired`` names (SQL; ``%(before)s`` is that long ago)."""

    table: str
    kept: timedelta
    expired: str

    @property
    def is_global(self) -> bool:
        return self.table in GLOBAL_TABLES


_rules: dict[str, Rule] = {}
_followers: dict[str, str] = {}
#: Rows per statement of tables whose statement was cancelled in this process.
_smaller_batches: dict[str, int] = {}


def expire(table: str, *, kept: timedelta, when: str) -> None:
    """Have rows of ``table`` deleted. Where another table's keys hold them, register that table first."""
    _rules[table] = Rule(table, kept, when)


def follow(parent: str, *tables: str) -> None:
    """Declare that rows of these tables go with their parent: the database cascades."""
    _followers.update(dict.fromkeys(tables, parent))


def rules() -> list[Rule]:
    """Every rule, in the order in which they are applied."""
    return list(_rules.values())


def followers() -> dict[str, str]:
    """Tables whose rows go with another's, and which that is."""
    return dict(_followers)


@dataclass(frozen=True)
class Pruned:
    """What a run deleted by table; whether it was cut short, and whether a lock or a cancelled statement held a rule
    up.
    """

    rows: Mapping[str, int]
    is_cut_short: bool = False
    is_held_up: bool = False

    @property
    def is_complete(self) -> bool:
        return not self.is_cut_short and not self.is_held_up


def prune(
    *,
    using: str,
    tenant_ids: Iterable[UUID],
    at: datetime,
    keep_on: Callable[[], bool],
    batch: int = BATCH,
) -> Pruned:
    """Delete expired rows, batch by batch and turn by turn for each tenant, while ``keep_on`` says so.

    Idempotent. A row that somebody has locked is left to the next run. Each batch is a transaction. A table whose
    statement was cancelled comes last from then on and in smaller batches, so that no other rule waits for it.
    """
    tenants = list(tenant_ids)
    rows = dict.fromkeys(_rules, 0)
    held_up = False
    pending: list[tuple[Rule, UUID | None]] = [
        (rule, tenant_id)
        for rule in _rules.values()
        for tenant_id in ([None] if rule.is_global else tenants)
    ]
    pending.sort(key=lambda item: item[0].table in _smaller_batches)
    # In order of the rules, so that what refers to a row goes before it; further batches of all take turns.
    while pending:
        full: list[tuple[Rule, UUID | None]] = []
        for number, (rule, tenant_id) in enumerate(pending):
            if not keep_on():
                return Pruned(rows, is_cut_short=bool(full or pending[number:]), is_held_up=held_up)
            size = min(batch, _smaller_batches.get(rule.table, batch))
            try:
                deleted = _delete_batch(using, rule, tenant_id, at, size)
            except OperationalError as error:
                code = getattr(error.__cause__, "pgcode", None)
                if code not in {LOCK_NOT_AVAILABLE, QUERY_CANCELED}:
                    raise
                if code == QUERY_CANCELED:
                    _smaller_batches[rule.table] = max(LEAST_BATCH, size // SMALLER)
                    log.warning("retention_statement_cancelled", table=rule.table, batch=size)
                held_up = True
                continue
            except IntegrityError:  # somebody refers to a row: it stays, and no other rule waits
                log.exception("retention_blocked", table=rule.table)
                continue
            rows[rule.table] += deleted
            if deleted >= size:
                full.append((rule, tenant_id))
        pending = full
    return Pruned(rows, is_held_up=held_up)


def _delete_batch(using: str, rule: Rule, tenant_id: UUID | None, at: datetime, batch: int) -> int:
    of_tenant = "" if tenant_id is None else "tenant_id = %(tenant)s AND "
    values: dict[str, Any] = {"before": at - rule.kept, "batch": batch, "tenant": tenant_id}
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        if tenant_id is not None:
            cursor.execute("SELECT set_config(%s, %s, true)", [TENANT_SETTING, str(tenant_id)])
        cursor.execute(
            f"DELETE FROM {rule.table} WHERE ctid = ANY(ARRAY("  # noqa: S608  (registered by our own apps)
            f"SELECT ctid FROM {rule.table} WHERE {of_tenant}({rule.expired})"
            " LIMIT %(batch)s FOR UPDATE SKIP LOCKED))",
            values,
        )
        return int(cursor.rowcount)
