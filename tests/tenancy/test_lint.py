"""The catalog lint finds nothing in what the migrations make, and reports each of these violations."""

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from django.conf import settings

from apps.tenancy.lint import RULES, find_violations

pytestmark = pytest.mark.django_db

APP = "ispvm_app"
TENANT = "nullif(current_setting('ispvm.tenant_id', true), '')::uuid"
SAME = f"tenant_id = (SELECT {TENANT})"
DEVICE = "inventory_device"


def _policy(using: str, check: str = "", more: str = "") -> str:
    check = f" WITH CHECK ({check})" if check else ""
    return (
        f"DROP POLICY tenant_isolation ON {DEVICE};"
        f"CREATE POLICY tenant_isolation ON {DEVICE} {more} USING ({using}){check}"
    )


NEW = "CREATE TABLE fresh (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);"
WALLED = (
    f"{NEW} ALTER TABLE fresh ENABLE ROW LEVEL SECURITY; ALTER TABLE fresh FORCE ROW LEVEL SECURITY;"
    f"CREATE POLICY tenant_isolation ON fresh USING ({SAME}) WITH CHECK ({SAME});"
)
FUNCTION = (
    "CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql {}"
    " AS 'SELECT count(*) FROM inventory_device'"
)

#: What somebody might do, and the rule that must say so.
VIOLATIONS: list[tuple[str, str]] = [
    (f"DROP POLICY tenant_isolation ON {DEVICE}", "tenant tables have exactly one policy"),
    (f"ALTER TABLE {DEVICE} DISABLE ROW LEVEL SECURITY", "row-level security is enabled"),
    (f"ALTER TABLE {DEVICE} NO FORCE ROW LEVEL SECURITY", "row-level security is forced"),
    (f"CREATE POLICY more ON {DEVICE} USING (true)", "tenant tables have exactly one policy"),
    (
        f"CREATE POLICY more ON {DEVICE} FOR SELECT USING (name <> '')",
        "tenant tables have exactly one policy",
    ),
    (_policy("true", "true"), "the policy hides other tenants' rows"),
    (_policy(f"{SAME} OR name = 'x'", SAME), "the policy hides other tenants' rows"),
    (
        _policy("tenant_id = current_setting('ispvm.tenant_id', true)::uuid", SAME),
        "the policy hides other tenants' rows",
    ),
    (
        _policy(SAME.replace("ispvm.tenant_id", "app.tenant"), SAME),
        "the policy hides other tenants' rows",
    ),
    (_policy(SAME, "true"), "the policy checks written rows"),
    (_policy(SAME), "the policy checks written rows"),
    (_policy(SAME, more="FOR SELECT"), "the policy applies to all commands and roles"),
    (_policy(SAME, SAME, "AS RESTRICTIVE"), "the policy applies to all commands and roles"),
    (_policy(SAME, SAME, f"TO {APP}"), "the policy applies to all commands and roles"),
    (NEW, "row-level security is enabled"),
    (
        WALLED.replace("uuid NOT NULL", "uuid"),
        "tenant tables have a non-null tenant_id",
    ),
    (
        "CREATE TABLE fresh (id uuid PRIMARY KEY)",
        "tenant tables have a non-null tenant_id",
    ),
    (
        WALLED.replace("NOT NULL", f"NOT NULL DEFAULT {TENANT.replace('ispvm', 'other')}"),
        "tenant_id has no default",
    ),
    (
        f"{WALLED} ALTER TABLE fresh ADD device_id uuid REFERENCES {DEVICE} (id)",
        "foreign keys between tenant tables include tenant_id",
    ),
    (
        (
            f"{WALLED} ALTER TABLE fresh ADD device_id uuid, ADD CONSTRAINT k"
            f" FOREIGN KEY (device_id, tenant_id) REFERENCES {DEVICE} (tenant_id, id)"
        ),
        "foreign keys between tenant tables include tenant_id",
    ),
    (
        f"ALTER TABLE {DEVICE} ADD CONSTRAINT k CHECK (name <> '') NOT VALID",
        "constraints are validated",
    ),
    (
        f"CREATE UNIQUE INDEX u ON {DEVICE} (management_address)",
        "unique indexes begin with tenant_id",
    ),
    (f"{WALLED} ALTER TABLE fresh SET UNLOGGED", "tenant tables are logged"),
    (
        f"CREATE RULE r AS ON DELETE TO {DEVICE} DO ALSO NOTHING",
        "tables have no rewrite rules",
    ),
    (
        (
            "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            f"CREATE TRIGGER copy AFTER INSERT ON {DEVICE} FOR EACH ROW EXECUTE FUNCTION t()"
        ),
        "tables have no triggers",
    ),
    (f"CREATE VIEW v AS SELECT * FROM {DEVICE}", "views are security_invoker"),
    (
        f"CREATE MATERIALIZED VIEW m AS SELECT * FROM {DEVICE}",
        "no materialized views or foreign tables",
    ),
    (
        "CREATE SCHEMA aside; CREATE TABLE aside.copy (id int)",
        "every table is in the public schema or is a partition",
    ),
    (FUNCTION.format("SECURITY DEFINER"), "no function is SECURITY DEFINER"),
    ("{grant one partition}", "the app role has no privileges on partitions"),
    (
        f"GRANT USAGE ON SCHEMA {{partitions}} TO {APP}",
        "the app role has no privileges on partitions",
    ),
    (f"GRANT TRUNCATE ON {DEVICE} TO {APP}", "the app role has row privileges only"),
    (f"GRANT ALL ON {DEVICE} TO {APP}", "the app role has row privileges only"),
    (f"GRANT REFERENCES, TRIGGER ON {DEVICE} TO {APP}", "the app role has row privileges only"),
    (
        f"GRANT UPDATE ON SEQUENCE telemetry_series_id_seq TO {APP}",
        "the app role has only USAGE on sequences",
    ),
    (
        f"GRANT SELECT ON {DEVICE} TO {APP} WITH GRANT OPTION",
        "the app role has no grant options",
    ),
    (f"GRANT SELECT ON {DEVICE} TO PUBLIC", "nothing is granted to PUBLIC"),
    (f"GRANT SELECT (name) ON {DEVICE} TO {APP}", "there are no column privileges"),
    (
        f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {APP}",
        "there are no default privileges",
    ),
    (
        f"CREATE SCHEMA aside; GRANT CREATE ON SCHEMA aside TO {APP}",
        "the app role cannot create objects",
    ),
    (f"GRANT DELETE ON audit_platformrecord TO {APP}", "global tables are granted as listed"),
    (f"GRANT DELETE ON accounts_user TO {APP}", "global tables are granted as listed"),
]


@pytest.fixture
def owner() -> Iterator[Any]:
    """The owner's cursor in a transaction that is rolled back."""
    alias = settings.DATABASES["owner"]
    connection = psycopg2.connect(
        host=alias["HOST"],
        port=alias["PORT"] or None,
        user=alias["USER"],
        password=alias["PASSWORD"],
        dbname=alias["NAME"],
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '20s'")
            yield cursor
    finally:
        connection.rollback()
        connection.close()


def apply(cursor: Any, statement: str) -> None:
    cursor.execute(
        "SELECT relnamespace::regnamespace::text, format('%I.%I', relnamespace::regnamespace::text, relname)"
        " FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY 2 LIMIT 1"
    )
    schema, partition = cursor.fetchone()
    if statement == "{grant one partition}":
        statement = f"GRANT SELECT ON {partition} TO {APP}"
    cursor.execute(statement.replace("{partitions}", schema).replace("%", "%%"))


def violated_rules(cursor: Any, role: str = APP) -> set[str]:
    return {violation.rule for violation in find_violations(cursor, role=role)}


def test_the_migrated_database_has_no_violations(owner):
    assert find_violations(owner, role=APP) == []
    assert len(RULES) >= 20


@pytest.mark.parametrize(("statement", "rule"), VIOLATIONS, ids=[s[:60] for s, _ in VIOLATIONS])
def test_a_violation_is_reported(owner, statement, rule):
    apply(owner, statement)

    assert rule in violated_rules(owner)


@pytest.mark.parametrize(
    ("role", "rule"),
    [
        ("ispvm_owner", "the app role owns nothing"),
        ("ispvm_backup", "the app role has no special attributes"),
        ("ispvm_platform", "the app role has no special attributes"),
    ],
)
def test_another_role_as_app_role_is_reported(owner, role, rule):
    assert rule in violated_rules(owner, role)


def test_a_role_membership_is_reported(owner):
    assert "the app role is a member of no role" in violated_rules(owner, "pg_monitor")


def test_a_database_setting_is_reported(owner):
    owner.execute(f"ALTER DATABASE {settings.DATABASES['owner']['NAME']} SET row_security = off")

    assert "no tenant setting on a role or the database" in violated_rules(owner)


def test_every_rule_has_a_violation(record_property):
    named = {rule for _, rule in VIOLATIONS} | {
        "the app role owns nothing",
        "the app role has no special attributes",
        "the app role is a member of no role",
        "no tenant setting on a role or the database",
    }

    assert RULES.keys() - named == set()
    assert len(VIOLATIONS) >= 30
    record_property(
        "bar", f"T3: {len(VIOLATIONS)} sabotages, each named by the lint of {len(RULES)} rules"
    )
