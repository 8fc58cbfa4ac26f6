"""The catalog lint: rules of tenant isolation, checked in the database's catalog.

Each rule is a query that returns the names of objects that violate it. ``%(role)s`` is the app role, ``%(globals)s``
the list of global tables, ``%(policy)s`` the only allowed policy.
"""
# ruff: noqa: S608  (the queries are put together from the constants in this file, nothing else)

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from apps.tenancy.catalog import GLOBAL_TABLES

POLICY = (
    "(tenant_id = ( SELECT (NULLIF(current_setting('ispvm.tenant_id'::text, true), ''::text))::uuid"
    ' AS "nullif"))'
)

_NOT_SYSTEM = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_temp'"
)
_TABLES = (
    "(SELECT c.* FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
    " AND NOT c.relname = ANY(%(globals)s))"
)
_RELATIONS = f"(SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_NOT_SYSTEM})"
_POLICIES = f"(SELECT p.*, t.relname FROM pg_policy p JOIN {_TABLES} t ON t.oid = p.polrelid)"
_GRANTS = (
    "(SELECT c.oid, c.relname, c.relkind, c.relispartition, a.grantee, a.privilege_type, a.is_grantable"
    f" FROM {_RELATIONS} c, aclexplode(c.relacl) a)"
)
_APP_ROLE_OID = "(SELECT oid FROM pg_roles WHERE rolname = %(role)s)"

RULES: Mapping[str, str] = MappingProxyType(
    {
        "tenant tables have a non-null tenant_id": (
            f"SELECT relname FROM {_TABLES} t WHERE NOT EXISTS (SELECT FROM pg_attribute a"
            " WHERE a.attrelid = t.oid AND a.attname = 'tenant_id' AND a.attnotnull"
            " AND a.atttypid = 'uuid'::regtype)"
        ),
        "tenant_id has no default": (
            f"SELECT relname FROM {_TABLES} t JOIN pg_attribute a ON a.attrelid = t.oid"
            " WHERE a.attname = 'tenant_id' AND a.atthasdef"
        ),
        "row-level security is enabled": f"SELECT relname FROM {_TABLES} t WHERE NOT relrowsecurity",
        "row-level security is forced": (
            f"SELECT relname FROM {_TABLES} t WHERE NOT relforcerowsecurity"
        ),
        "tenant tables have exactly one policy": (
            f"SELECT relname FROM {_TABLES} t"
            " WHERE (SELECT count(*) FROM pg_policy WHERE polrelid = t.oid) <> 1"
        ),
        "the policy applies to all commands and roles": (
            f"SELECT relname FROM {_POLICIES} p"
            " WHERE polcmd <> '*' OR NOT polpermissive OR polroles <> '{0}'"
        ),
        "the policy hides other tenants' rows": (
            f"SELECT relname FROM {_POLICIES} p"
            " WHERE pg_get_expr(polqual, polrelid) IS DISTINCT FROM %(policy)s"
        ),
        "the policy checks written rows": (
            f"SELECT relname FROM {_POLICIES} p"
            " WHERE pg_get_expr(polwithcheck, polrelid) IS DISTINCT FROM %(policy)s"
        ),
        "foreign keys between tenant tables include tenant_id": (
            f"SELECT k.conname FROM pg_constraint k JOIN {_TABLES} s ON s.oid = k.conrelid"
            f" JOIN {_TABLES} t ON t.oid = k.confrelid WHERE k.contype = 'f' AND NOT EXISTS ("
            " SELECT FROM unnest(k.conkey, k.confkey) AS pair(here, there)"
            " JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = pair.here"
            " JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = pair.there"
            " WHERE a.attname = 'tenant_id' AND b.attname = 'tenant_id')"
        ),
        "constraints are validated": (
            "SELECT conname FROM pg_constraint WHERE contype IN ('f', 'c') AND NOT convalidated"
        ),
        "unique indexes begin with tenant_id": (
            f"SELECT i.relname FROM pg_index x JOIN {_TABLES} t ON t.oid = x.indrelid"
            " JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indisunique"
            " AND NOT (x.indisprimary AND x.indnkeyatts = 1)"
            " AND pg_get_indexdef(x.indexrelid, 1, true) <> 'tenant_id'"
        ),
        "tenant tables are logged": (
            f"SELECT relname FROM {_TABLES} t WHERE relpersistence <> 'p'"
        ),
        "tables have no rewrite rules": (
            f"SELECT r.rulename FROM pg_rewrite r JOIN {_RELATIONS} c ON c.oid = r.ev_class"
            " WHERE c.relkind IN ('r', 'p')"
        ),
        "tables have no triggers": (
            f"SELECT g.tgname FROM pg_trigger g JOIN {_RELATIONS} c ON c.oid = g.tgrelid"
            " WHERE NOT g.tgisinternal"
        ),
        "views are security_invoker": (
            f"SELECT relname FROM {_RELATIONS} c WHERE relkind = 'v'"
            " AND NOT coalesce(reloptions && ARRAY['security_invoker=true', 'security_invoker=on'], false)"
        ),
        "no materialized views or foreign tables": (
            f"SELECT relname FROM {_RELATIONS} c WHERE relkind IN ('m', 'f')"
        ),
        "every table is in the public schema or is a partition": (
            f"SELECT relname FROM {_RELATIONS} c WHERE relkind IN ('r', 'p')"
            " AND relnamespace <> 'public'::regnamespace AND NOT relispartition"
        ),
        "no function is SECURITY DEFINER": (
            f"SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            f" WHERE p.prosecdef AND {_NOT_SYSTEM}"
        ),
        "the app role has no privileges on partitions": (
            f"SELECT relname FROM {_GRANTS} g WHERE relispartition AND relkind = 'r'"
            f" AND grantee IN (0, {_APP_ROLE_OID})"
            " UNION SELECT n.nspname FROM pg_namespace n, aclexplode(n.nspacl) a"
            f" WHERE n.nspname <> 'public' AND {_NOT_SYSTEM} AND a.grantee IN (0, {_APP_ROLE_OID})"
        ),
        "the app role has row privileges only": (
            f"SELECT relname FROM {_GRANTS} g WHERE grantee = {_APP_ROLE_OID} AND relkind <> 'S'"
            " AND privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')"
        ),
        "the app role has only USAGE on sequences": (
            f"SELECT relname FROM {_GRANTS} g WHERE grantee = {_APP_ROLE_OID} AND relkind = 'S'"
            " AND privilege_type <> 'USAGE'"
        ),
        "the app role has no grant options": (
            f"SELECT relname FROM {_GRANTS} g WHERE grantee = {_APP_ROLE_OID} AND is_grantable"
        ),
        "nothing is granted to PUBLIC": f"SELECT relname FROM {_GRANTS} g WHERE grantee = 0",
        "there are no column privileges": (
            f"SELECT c.relname FROM pg_attribute a JOIN {_RELATIONS} c ON c.oid = a.attrelid"
            " WHERE a.attacl IS NOT NULL"
        ),
        "there are no default privileges": "SELECT defaclacl::text FROM pg_default_acl",
        "the app role cannot create objects": (
            "SELECT n.nspname FROM pg_namespace n"
            f" WHERE {_NOT_SYSTEM} AND has_schema_privilege(%(role)s, n.oid, 'CREATE')"
        ),
        "the app role owns nothing": (
            f"SELECT relname FROM {_RELATIONS} c WHERE relowner = {_APP_ROLE_OID}"
            f" UNION SELECT proname FROM pg_proc WHERE proowner = {_APP_ROLE_OID}"
            f" UNION SELECT nspname FROM pg_namespace n WHERE nspowner = {_APP_ROLE_OID} AND {_NOT_SYSTEM}"
            f" UNION SELECT datname FROM pg_database WHERE datdba = {_APP_ROLE_OID}"
        ),
        "the app role has no special attributes": (
            "SELECT rolname FROM pg_roles WHERE rolname = %(role)s AND"
            " (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)"
        ),
        "the app role is a member of no role": (
            f"SELECT roleid::regrole::text FROM pg_auth_members WHERE member = {_APP_ROLE_OID}"
        ),
        "no tenant setting on a role or the database": (
            "SELECT s::text FROM pg_db_role_setting, unnest(setconfig) s"
            " WHERE s ~ '^(ispvm\\.|row_security|role=|session_replication_role)'"
        ),
    }
)

_GLOBAL_GRANTS = f"SELECT relname, privilege_type FROM {_GRANTS} g WHERE grantee = {_APP_ROLE_OID}"


class Violation(NamedTuple):
    """A rule and an object that violates it."""

    rule: str
    object_name: str


def find_violations(cursor: Any, *, role: str) -> list[Violation]:
    """All violations of the rules in this database."""
    params = {"role": role, "globals": list(GLOBAL_TABLES), "policy": POLICY}
    violations: list[Violation] = []
    for rule, query in RULES.items():
        cursor.execute(query, params)
        violations += [Violation(rule, str(object_name)) for (object_name,) in cursor.fetchall()]
    cursor.execute(_GLOBAL_GRANTS, params)
    granted: dict[str, set[str]] = {}
    for table, privilege in cursor.fetchall():
        granted.setdefault(table, set()).add(privilege)
    violations += [
        Violation("global tables are granted as listed", table)
        for table, listed in GLOBAL_TABLES.items()
        if not granted.get(table, set()) <= set(listed.split(", "))
    ]
    return violations
