"""Retention: every growing table has a rule, and the keeper process deletes expired rows.

The keeper uses the owner's role, for which row-level security is forced as well: it deletes in one tenant at a time.
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

#: SQLSTATE: ``lock_timeout`` expired.
LOCK_NOT_AVAILABLE = "55P03"
#: SQLSTATE: ``statement_timeout`` expired, or an operator cancelled the statement.
QUERY_CANCELED = "57014"
#: Rows per statement: short transactions hold row locks briefly and let vacuum keep up.
BATCH = 5000
#: A cancelled statement is retried with its batch divided by this, down to ``LEAST_BATCH``.
BATCH_DIVISOR = 10
MIN_BATCH = 50

#: Tables of bounded size, with what bounds them.
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
            "users and tenants: managed by admins",
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
            "of a library: empty, or as large as the code",
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
                "inventory_entityalias",
                "topology_dependencygroup",
                "topology_dependencymember",
            ),
            "the network inventory, and grants on it",
        ),
        **dict.fromkeys(
            ("telemetry_series", "telemetry_latest"),
            "one row per metric of an entity, and at most 500 values of a dimension",
        ),
        **dict.fromkeys(
            (
                "alerts_alertrule",
                "alerts_ruleoverride",
                "delivery_destination",
                "webhooks_endpoint",
                "webhooks_secret",
            ),
            "configuration by admins",
        ),
        **dict.fromkeys(
            ("agents_agent", "agents_agentdevice", "agents_agentprobedevice", "agents_agentsite"),
            "agents and their assignments",
        ),
        "accounts_setup": "one row",
        "agents_authority": "a rollover of the authority adds one",
        **dict.fromkeys(
            ("vault_credentialset", "vault_platformsecret", "vault_masterkey"),
            "secrets set by users, and keys rotated by operators",
        ),
        **dict.fromkeys(("vault_tenantkey", "vault_platformkey"), "a rotation adds one"),
        **dict.fromkeys(("audit_head", "audit_platformhead"), "the end of a chain: one per tenant"),
        "audit_verification": "one row per tenant",
        "ingest_uptime": "one row",
        "events_installation": "one row",
        "events_due": "one row per kind of work and object",
        "telemetry_sample": "daily partitions, dropped as a whole: see telemetry.partitions",
    }
)

#: Growing tables from which nothing is deleted, with the reason.
UNBOUNDED_TABLES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("audit_record", "audit_platformrecord"),
        "hash chain: a deleted record would be reported as tampering",
    )
)


@dataclass(frozen=True)
class Rule:
    """Rows of ``table`` that match ``expired`` (SQL) are deleted; ``%(before)s`` is now minus ``retention``."""

    table: str
    retention: timedelta
    expired: str

    @property
    def is_global(self) -> bool:
        return self.table in GLOBAL_TABLES


_rules: dict[str, Rule] = {}
_cascades: dict[str, str] = {}
#: Rows per statement of tables whose statement was cancelled in this process.
_smaller_batches: dict[str, int] = {}


def expire(table: str, *, retention: timedelta, condition: str) -> None:
    """Register a retention rule. Register tables that reference ``table`` first."""
    _rules[table] = Rule(table, retention, condition)


def declare_cascade(parent: str, *tables: str) -> None:
    """Declare tables whose rows are deleted with their parent by ON DELETE CASCADE."""
    _cascades.update(dict.fromkeys(tables, parent))


def rules() -> list[Rule]:
    """All rules, in the order of their application."""
    return list(_rules.values())


def cascades() -> dict[str, str]:
    """Tables whose rows are deleted with their parent, as table -> parent."""
    return dict(_cascades)


@dataclass(frozen=True)
class PruneResult:
    """Deleted rows by table; whether time ran out; whether a lock or a cancelled statement blocked a rule."""

    rows: Mapping[str, int]
    is_out_of_time: bool = False
    is_blocked: bool = False

    @property
    def is_complete(self) -> bool:
        return not self.is_out_of_time and not self.is_blocked


def prune(
    *,
    using: str,
    tenant_ids: Iterable[UUID],
    at: datetime,
    may_continue: Callable[[], bool],
    batch: int = BATCH,
) -> PruneResult:
    """Delete expired rows in batches, alternating between tenants, while ``may_continue`` returns True.

    Idempotent. Locked rows are left to the next run. Each batch is a transaction. A table whose statement was cancelled
    is processed last from then on and in smaller batches, so that it does not delay other rules.
    """
    tenants = list(tenant_ids)
    rows = dict.fromkeys(_rules, 0)
    was_blocked = False
    pending: list[tuple[Rule, UUID | None]] = [
        (rule, tenant_id)
        for rule in _rules.values()
        for tenant_id in ([None] if rule.is_global else tenants)
    ]
    pending.sort(key=lambda item: item[0].table in _smaller_batches)
    # In the order of the rules, so that referencing rows are deleted first; further batches alternate.
    while pending:
        full: list[tuple[Rule, UUID | None]] = []
        for number, (rule, tenant_id) in enumerate(pending):
            if not may_continue():
                return PruneResult(
                    rows, is_out_of_time=bool(full or pending[number:]), is_blocked=was_blocked
                )
            size = min(batch, _smaller_batches.get(rule.table, batch))
            try:
                deleted = _delete_batch(using, rule, tenant_id, at, size)
            except OperationalError as error:
                code = getattr(error.__cause__, "pgcode", None)
                if code not in {LOCK_NOT_AVAILABLE, QUERY_CANCELED}:
                    raise
                if code == QUERY_CANCELED:
                    _smaller_batches[rule.table] = max(MIN_BATCH, size // BATCH_DIVISOR)
                    log.warning("retention_statement_cancelled", table=rule.table, batch=size)
                was_blocked = True
                continue
            except (
                IntegrityError
            ):  # a row is still referenced: it stays, and the other rules are applied
                log.exception("retention_blocked", table=rule.table)
                continue
            rows[rule.table] += deleted
            if deleted >= size:
                full.append((rule, tenant_id))
        pending = full
    return PruneResult(rows, is_blocked=was_blocked)


def _delete_batch(using: str, rule: Rule, tenant_id: UUID | None, at: datetime, batch: int) -> int:
    tenant_condition = "" if tenant_id is None else "tenant_id = %(tenant)s AND "
    values: dict[str, Any] = {"before": at - rule.retention, "batch": batch, "tenant": tenant_id}
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        if tenant_id is not None:
            cursor.execute("SELECT set_config(%s, %s, true)", [TENANT_SETTING, str(tenant_id)])
        cursor.execute(
            f"DELETE FROM {rule.table} WHERE ctid = ANY(ARRAY("  # noqa: S608  (registered by our own apps)
            f"SELECT ctid FROM {rule.table} WHERE {tenant_condition}({rule.expired})"
            " LIMIT %(batch)s FOR UPDATE SKIP LOCKED))",
            values,
        )
        return int(cursor.rowcount)
