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

_OURS = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_temp'"
)
_TABLES = (
    "(SELECT c.* FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
    " AND NOT c.relname = ANY(%(globals)s))"
)
_RELATIONS = (
    f"(SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS})"
)
_POLICIES = f"(SELECT p.*, t.relname FROM pg_policy p JOIN {_TABLES} t ON t.oid = p.polrelid)"
_GRANTS = (
    "(SELECT c.oid, c.relname, c.relkind, c.relispartition, a.grantee, a.privilege_type, a.is_grantable"
    f" FROM {_RELATIONS} c, aclexplode(c.relacl) a)"
)
_APP = "(SELECT oid FROM pg_roles WHERE rolname = %(role)s)"

RULES: Mapping[str, str] = MappingProxyType(
    {
        "every tenant table has a tenant that is never null": (
            f"SELECT relname FROM {_TABLES} t WHERE NOT EXISTS (SELECT FROM pg_attribute a"
            " WHERE a.attrelid = t.oid AND a.attname = 'tenant_id' AND a.attnotnull"
            " AND a.atttypid = 'uuid'::regtype)"
        ),
        "no tenant has a default in the database": (
            f"SELECT relname FROM {_TABLES} t JOIN pg_attribute a ON a.attrelid = t.oid"
            " WHERE a.attname = 'tenant_id' AND a.atthasdef"
        ),
        "row-level security is on": f"SELECT relname FROM {_TABLES} t WHERE NOT relrowsecurity",
        "row-level security is forced": (
            f"SELECT relname FROM {_TABLES} t WHERE NOT relforcerowsecurity"
        ),
        "exactly one policy": (
            f"SELECT relname FROM {_TABLES} t"
            " WHERE (SELECT count(*) FROM pg_policy WHERE polrelid = t.oid) <> 1"
        ),
        "the policy holds for every command and everybody": (
            f"SELECT relname FROM {_POLICIES} p"
            " WHERE polcmd <> '*' OR NOT polpermissive OR polroles <> '{0}'"
        ),
        "the policy hides other tenants' rows": (
            f"SELECT relname FROM {_POLICIES} p"
            " WHERE pg_get_expr(polqual, polrelid) IS DISTINCT FROM %(policy)s"
        ),
        "the policy checks what is written": (
            f"SELECT relname FROM {_POLICIES} p"
            " WHERE pg_get_expr(polwithcheck, polrelid) IS DISTINCT FROM %(policy)s"
        ),
        "keys between tenant tables carry the tenant": (
            f"SELECT k.conname FROM pg_constraint k JOIN {_TABLES} s ON s.oid = k.conrelid"
            f" JOIN {_TABLES} t ON t.oid = k.confrelid WHERE k.contype = 'f' AND NOT EXISTS ("
            " SELECT FROM unnest(k.conkey, k.confkey) AS pair(here, there)"
            " JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = pair.here"
            " JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = pair.there"
            " WHERE a.attname = 'tenant_id' AND b.attname = 'tenant_id')"
        ),
        "keys are valid for every row": (
            "SELECT conname FROM pg_constraint WHERE contype IN ('f', 'c') AND NOT convalidated"
        ),
        "what is unique is unique in its tenant": (
            f"SELECT i.relname FROM pg_index x JOIN {_TABLES} t ON t.oid = x.indrelid"
            " JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indisunique"
            " AND NOT (x.indisprimary AND x.indnkeyatts = 1)"
            " AND pg_get_indexdef(x.indexrelid, 1, true) <> 'tenant_id'"
        ),
        "tenant tables are logged": (
            f"SELECT relname FROM {_TABLES} t WHERE relpersistence <> 'p'"
        ),
        "no rule rewrites a query on a table": (
            f"SELECT r.rulename FROM pg_rewrite r JOIN {_RELATIONS} c ON c.oid = r.ev_class"
            " WHERE c.relkind IN ('r', 'p')"
        ),
        "no trigger of ours copies rows": (
            f"SELECT g.tgname FROM pg_trigger g JOIN {_RELATIONS} c ON c.oid = g.tgrelid"
            " WHERE NOT g.tgisinternal"
        ),
        "views run with the rights of who asks": (
            f"SELECT relname FROM {_RELATIONS} c WHERE relkind = 'v'"
            " AND NOT coalesce(reloptions && ARRAY['security_invoker=true', 'security_invoker=on'], false)"
        ),
        "nothing is kept outside row-level security": (
            f"SELECT relname FROM {_RELATIONS} c WHERE relkind IN ('m', 'f')"
        ),
        "every table is in the public schema or is a partition": (
            f"SELECT relname FROM {_RELATIONS} c WHERE relkind IN ('r', 'p')"
            " AND relnamespace <> 'public'::regnamespace AND NOT relispartition"
        ),
        "no function runs with its owner's rights": (
            f"SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            f" WHERE p.prosecdef AND {_OURS}"
        ),
        "partitions are out of the app role's reach": (
            f"SELECT relname FROM {_GRANTS} g WHERE relispartition AND relkind = 'r'"
            f" AND grantee IN (0, {_APP})"
            " UNION SELECT n.nspname FROM pg_namespace n, aclexplode(n.nspacl) a"
            f" WHERE n.nspname <> 'public' AND {_OURS} AND a.grantee IN (0, {_APP})"
        ),
        "the app role has row privileges only": (
            f"SELECT relname FROM {_GRANTS} g WHERE grantee = {_APP} AND relkind <> 'S'"
            " AND privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')"
        ),
        "the app role only draws from sequences": (
            f"SELECT relname FROM {_GRANTS} g WHERE grantee = {_APP} AND relkind = 'S'"
            " AND privilege_type <> 'USAGE'"
        ),
        "the app role passes nothing on": (
            f"SELECT relname FROM {_GRANTS} g WHERE grantee = {_APP} AND is_grantable"
        ),
        "nothing is granted to everybody": f"SELECT relname FROM {_GRANTS} g WHERE grantee = 0",
        "nothing is granted by column": (
            f"SELECT c.relname FROM pg_attribute a JOIN {_RELATIONS} c ON c.oid = a.attrelid"
            " WHERE a.attacl IS NOT NULL"
        ),
        "nothing is granted in advance": "SELECT defaclacl::text FROM pg_default_acl",
        "the app role makes nothing": (
            "SELECT n.nspname FROM pg_namespace n"
            f" WHERE {_OURS} AND has_schema_privilege(%(role)s, n.oid, 'CREATE')"
        ),
        "the app role owns nothing": (
            f"SELECT relname FROM {_RELATIONS} c WHERE relowner = {_APP}"
            f" UNION SELECT proname FROM pg_proc WHERE proowner = {_APP}"
            f" UNION SELECT nspname FROM pg_namespace n WHERE nspowner = {_APP} AND {_OURS}"
            f" UNION SELECT datname FROM pg_database WHERE datdba = {_APP}"
        ),
        "the app role is ordinary": (
            "SELECT rolname FROM pg_roles WHERE rolname = %(role)s AND"
            " (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)"
        ),
        "the app role is a member of nothing": (
            f"SELECT roleid::regrole::text FROM pg_auth_members WHERE member = {_APP}"
        ),
        "no tenant is set for a role or the database": (
            "SELECT s::text FROM pg_db_role_setting, unnest(setconfig) s"
            " WHERE s ~ '^(ispvm\\.|row_security|role=|session_replication_role)'"
        ),
    }
)

_GLOBAL_GRANTS = f"SELECT relname, privilege_type FROM {_GRANTS} g WHERE grantee = {_APP}"


class Fault(NamedTuple):
    """A rule and an object that violates it."""

    rule: str
    what: str


def faults(cursor: Any, *, role: str) -> list[Fault]:
    """All violations of the rules in this database."""
    params = {"role": role, "globals": list(GLOBAL_TABLES), "policy": POLICY}
    violations: list[Fault] = []
    for rule, query in RULES.items():
        cursor.execute(query, params)
        violations += [Fault(rule, str(what)) for (what,) in cursor.fetchall()]
    cursor.execute(_GLOBAL_GRANTS, params)
    granted: dict[str, set[str]] = {}
    for table, privilege in cursor.fetchall():
        granted.setdefault(table, set()).add(privilege)
    violations += [
        Fault("global tables are granted as listed", table)
        for table, listed in GLOBAL_TABLES.items()
        if not granted.get(table, set()) <= set(listed.split(", "))
    ]
    return violations
