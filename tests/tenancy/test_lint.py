"""The catalog lint finds nothing in what the migrations make, and names each of these sabotages."""

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from django.conf import settings

from apps.tenancy.lint import RULES, faults

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
SABOTAGES: list[tuple[str, str]] = [
    (f"DROP POLICY tenant_isolation ON {DEVICE}", "exactly one policy"),
    (f"ALTER TABLE {DEVICE} DISABLE ROW LEVEL SECURITY", "row-level security is on"),
    (f"ALTER TABLE {DEVICE} NO FORCE ROW LEVEL SECURITY", "row-level security is forced"),
    (f"CREATE POLICY more ON {DEVICE} USING (true)", "exactly one policy"),
    (f"CREATE POLICY more ON {DEVICE} FOR SELECT USING (name <> '')", "exactly one policy"),
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
    (_policy(SAME, "true"), "the policy checks what is written"),
    (_policy(SAME), "the policy checks what is written"),
    (_policy(SAME, more="FOR SELECT"), "the policy holds for every command and everybody"),
    (_policy(SAME, SAME, "AS RESTRICTIVE"), "the policy holds for every command and everybody"),
    (_policy(SAME, SAME, f"TO {APP}"), "the policy holds for every command and everybody"),
    (NEW, "row-level security is on"),
    (
        WALLED.replace("uuid NOT NULL", "uuid"),
        "every tenant table has a tenant that is never null",
    ),
    (
        "CREATE TABLE fresh (id uuid PRIMARY KEY)",
        "every tenant table has a tenant that is never null",
    ),
    (
        WALLED.replace("NOT NULL", f"NOT NULL DEFAULT {TENANT.replace('ispvm', 'other')}"),
        "no tenant has a default in the database",
    ),
    (
        f"{WALLED} ALTER TABLE fresh ADD device_id uuid REFERENCES {DEVICE} (id)",
        "keys between tenant tables carry the tenant",
    ),
    (
        (
            f"{WALLED} ALTER TABLE fresh ADD device_id uuid, ADD CONSTRAINT k"
            f" FOREIGN KEY (device_id, tenant_id) REFERENCES {DEVICE} (tenant_id, id)"
        ),
        "keys between tenant tables carry the tenant",
    ),
    (
        f"ALTER TABLE {DEVICE} ADD CONSTRAINT k CHECK (name <> '') NOT VALID",
        "keys are valid for every row",
    ),
    (
        f"CREATE UNIQUE INDEX u ON {DEVICE} (management_address)",
        "what is unique is unique in its tenant",
    ),
    (f"{WALLED} ALTER TABLE fresh SET UNLOGGED", "tenant tables are logged"),
    (
        f"CREATE RULE r AS ON DELETE TO {DEVICE} DO ALSO NOTHING",
        "no rule rewrites a query on a table",
    ),
    (
        (
            "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            f"CREATE TRIGGER copy AFTER INSERT ON {DEVICE} FOR EACH ROW EXECUTE FUNCTION t()"
        ),
        "no trigger of ours copies rows",
    ),
    (f"CREATE VIEW v AS SELECT * FROM {DEVICE}", "views run with the rights of who asks"),
    (
        f"CREATE MATERIALIZED VIEW m AS SELECT * FROM {DEVICE}",
        "nothing is kept outside row-level security",
    ),
    (
        "CREATE SCHEMA aside; CREATE TABLE aside.copy (id int)",
        "every table is in the public schema or is a partition",
    ),
    (FUNCTION.format("SECURITY DEFINER"), "no function runs with its owner's rights"),
    ("{grant one partition}", "partitions are out of the app role's reach"),
    (
        f"GRANT USAGE ON SCHEMA {{partitions}} TO {APP}",
        "partitions are out of the app role's reach",
    ),
    (f"GRANT TRUNCATE ON {DEVICE} TO {APP}", "the app role has row privileges only"),
    (f"GRANT ALL ON {DEVICE} TO {APP}", "the app role has row privileges only"),
    (f"GRANT REFERENCES, TRIGGER ON {DEVICE} TO {APP}", "the app role has row privileges only"),
    (
        f"GRANT UPDATE ON SEQUENCE telemetry_series_id_seq TO {APP}",
        "the app role only draws from sequences",
    ),
    (
        f"GRANT SELECT ON {DEVICE} TO {APP} WITH GRANT OPTION",
        "the app role passes nothing on",
    ),
    (f"GRANT SELECT ON {DEVICE} TO PUBLIC", "nothing is granted to everybody"),
    (f"GRANT SELECT (name) ON {DEVICE} TO {APP}", "nothing is granted by column"),
    (
        f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {APP}",
        "nothing is granted in advance",
    ),
    (f"CREATE SCHEMA aside; GRANT CREATE ON SCHEMA aside TO {APP}", "the app role makes nothing"),
    (f"GRANT DELETE ON audit_platformrecord TO {APP}", "global tables are granted as listed"),
    (f"GRANT DELETE ON accounts_user TO {APP}", "global tables are granted as listed"),
]


@pytest.fixture
def owner() -> Iterator[Any]:
    """The owner's cursor in a transaction that is undone."""
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


def apply(cursor: Any, sabotage: str) -> None:
    cursor.execute(
        "SELECT relnamespace::regnamespace::text, format('%I.%I', relnamespace::regnamespace::text, relname)"
        " FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY 2 LIMIT 1"
    )
    schema, partition = cursor.fetchone()
    if sabotage == "{grant one partition}":
        sabotage = f"GRANT SELECT ON {partition} TO {APP}"
    cursor.execute(sabotage.replace("{partitions}", schema).replace("%", "%%"))


def rules_named(cursor: Any, role: str = APP) -> set[str]:
    return {fault.rule for fault in faults(cursor, role=role)}


def test_the_migrated_database_is_without_fault(owner):
    assert faults(owner, role=APP) == []
    assert len(RULES) >= 20


@pytest.mark.parametrize(("sabotage", "rule"), SABOTAGES, ids=[s[:60] for s, _ in SABOTAGES])
def test_a_sabotage_is_named(owner, sabotage, rule):
    apply(owner, sabotage)

    assert rule in rules_named(owner)


@pytest.mark.parametrize(
    ("role", "rule"),
    [
        ("ispvm_owner", "the app role owns nothing"),
        ("ispvm_backup", "the app role is ordinary"),
        ("ispvm_platform", "the app role is ordinary"),
    ],
)
def test_another_role_in_the_place_of_the_app_role_is_named(owner, role, rule):
    assert rule in rules_named(owner, role)


def test_a_membership_is_named(owner):
    assert "the app role is a member of nothing" in rules_named(owner, "pg_monitor")


def test_a_setting_of_the_database_is_named(owner):
    owner.execute(f"ALTER DATABASE {settings.DATABASES['owner']['NAME']} SET row_security = off")

    assert "no tenant is set for a role or the database" in rules_named(owner)


def test_every_rule_is_broken_by_somebody(record_property):
    named = {rule for _, rule in SABOTAGES} | {
        "the app role owns nothing",
        "the app role is ordinary",
        "the app role is a member of nothing",
        "no tenant is set for a role or the database",
    }

    assert RULES.keys() - named == set()
    assert len(SABOTAGES) >= 30
    record_property(
        "bar", f"T3: {len(SABOTAGES)} sabotages, each named by the lint of {len(RULES)} rules"
    )
