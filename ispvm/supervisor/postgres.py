"""Embedded PostgreSQL: its data folder, its process, its roles and database.

Only the launcher uses the superuser. The server listens on the loopback address and requires SCRAM
passwords, because other users of the machine can reach that address.
"""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import encrypt_password

from ispvm.supervisor.account import Account, identity_of
from ispvm.supervisor.errors import LaunchError
from ispvm.supervisor.paths import Home
from ispvm.supervisor.ports import LOOPBACK, ensure_port
from ispvm.supervisor.processes import ProcessSpec
from ispvm.supervisor.programs import PostgresPrograms, find_postgres, reachable_postgres
from ispvm.supervisor.secrets import ensure_secret, write_private

DATABASE = "ispvm"
# Role -> its attributes. Nothing that serves requests may bypass row-level security.
ROLES = {
    "ispvm_owner": "LOGIN NOSUPERUSER CREATEDB NOCREATEROLE NOBYPASSRLS",
    "ispvm_app": "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS",
    "ispvm_backup": "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS",
    "ispvm_platform": "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS",
}
STATEMENT_SECONDS = 60
SETTINGS = """\
# Overwritten by the launcher at each start; use postgresql.conf for your own settings.
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 100
shared_buffers = '128MB'
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_checkpoints = off
"""
# Test data need not survive a crash of the machine, so writes are not flushed.
TEST_SETTINGS = "fsync = off\nfull_page_writes = off\n"
HBA = f"# Written by the launcher.\nhost all all {LOOPBACK}/32 scram-sha-256\n"


@dataclass(frozen=True)
class PostgresServer:
    """A prepared data folder and how to run it."""

    programs: PostgresPrograms
    data: Path
    port: int
    account: Account | None

    @property
    def superuser_url(self) -> str:
        # Stored beside the data, which cannot be used without it; the other passwords are set
        # again at each start.
        password = ensure_secret(self.data.with_name("superuser"))
        return f"postgres://postgres:{password}@{LOOPBACK}:{self.port}/postgres"

    def responds(self) -> bool:
        try:
            psycopg2.connect(self.superuser_url, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    def process(self) -> ProcessSpec:
        return ProcessSpec(
            name="postgres",
            argv=(str(self.programs.bin / "postgres"), "-D", str(self.data)),
            env=server_environment(),
            cwd=self.data,
            ready=self.responds,
            account=self.account,
            # SIGINT is PostgreSQL's fast shutdown.
            stop_signal=signal.SIGINT,
            stop_seconds=30,
        )


def role_password(home: Home, role: str) -> str:
    return ensure_secret(home.secrets / f"database-{role}")


def database_url(home: Home, role: str, port: int) -> str:
    return f"postgres://{role}:{role_password(home, role)}@{LOOPBACK}:{port}/{DATABASE}"


def server_environment() -> dict[str, str]:
    """Without the caller's environment, which could change the server (PGDATA, PGOPTIONS, locale)."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def prepare_postgres(home: Home, *, durable: bool = True) -> PostgresServer:
    """Find the programs, create the data folder if it is missing, write the settings. Idempotent.

    Raises LaunchError.
    """
    folder, account = home.server_folder("postgres")
    programs = find_postgres(os.environ.get("ISPVM_POSTGRES"), existing_majors(folder))
    programs = reachable_postgres(programs, account, home.server_data / "programs")
    data = folder / f"pg{programs.major}"
    port = ensure_port(folder / f"port-{programs.major}")
    server = PostgresServer(programs, data, port, account)
    if not data.exists():
        create_data(server)
    write_settings(server, durable=durable)
    drop_stale_lock(data)
    os.utime(data)
    return server


def existing_majors(folder: Path) -> list[int]:
    """Major versions of existing data folders, last used first."""
    folders = [path for path in folder.glob("pg*") if (path / "PG_VERSION").exists()]
    folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return [int((path / "PG_VERSION").read_text(encoding="ascii")) for path in folders]


def create_data(server: PostgresServer) -> None:
    """Run initdb in a temporary folder, which is renamed when complete."""
    draft = server.data.with_name(f"{server.data.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    password_file = server.data.with_name(f"{server.data.name}.password")
    password = ensure_secret(server.data.with_name("superuser"))
    write_private(password_file, password + "\n", account=server.account)
    command = [
        *(str(server.programs.bin / "initdb"), "-D", str(draft), "-U", "postgres", "-E", "UTF8"),
        *("--auth-host=scram-sha-256", "--auth-local=scram-sha-256", f"--pwfile={password_file}"),
        *("--data-checksums", "--lc-messages=C"),
    ]
    try:
        # C.UTF-8 sorts by code point and classifies letters; not every system has it.
        for locale in ("C.UTF-8", "C"):
            initdb = subprocess.run(
                [*command, f"--locale={locale}"],
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                cwd=server.data.parent,
                env=server_environment(),
                **identity_of(server.account),
            )
            if initdb.returncode == 0:
                break
            shutil.rmtree(draft, ignore_errors=True)
    finally:
        password_file.unlink()
    if initdb.returncode != 0:
        raise LaunchError(
            f"PostgreSQL could not create its data folder: {explain_failure(initdb.stderr)}"
        )
    with (draft / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.write("\ninclude_if_exists = 'ispvm.conf'\n")
    draft.rename(server.data)


def write_settings(server: PostgresServer, *, durable: bool) -> None:
    text = SETTINGS.format(host=LOOPBACK, port=server.port) + ("" if durable else TEST_SETTINGS)
    write_private(server.data / "ispvm.conf", text, account=server.account)
    write_private(server.data / "pg_hba.conf", HBA, account=server.account)


def drop_stale_lock(data: Path) -> None:
    """Remove a postmaster.pid whose process id belongs to another program.

    PostgreSQL removes the file itself if the process does not exist. It cannot detect a reused id, which is
    common in containers, where process ids start at 1 again.
    """
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text(encoding="ascii").split("\n", 1)[0])
        program = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8")
    except (FileNotFoundError, ValueError):
        return
    if "postgres" not in program:
        lock.unlink(missing_ok=True)


def explain_failure(log: str) -> str:
    """The line of a server's log that describes the error."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    for word in ("No space left on device", "FATAL", "error:", "could not"):
        for line in lines:
            if word in line:
                return line
    return lines[-1] if lines else "no output."


def set_up_roles(server: PostgresServer, home: Home) -> None:
    """Roles with their passwords, the database, who may connect. Idempotent."""
    admin = psycopg2.connect(server.superuser_url, connect_timeout=5)
    admin.autocommit = True
    with admin.cursor() as cursor:
        for role, attributes in ROLES.items():
            name = sql.Identifier(role)
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            verb = "ALTER" if cursor.fetchone() else "CREATE"
            # The SCRAM verifier is computed here, so that the server never sees or logs the password.
            password = role_password(home, role)
            verifier = encrypt_password(password, role, admin, "scram-sha-256")
            cursor.execute(
                sql.SQL("{} ROLE {} {} PASSWORD {}").format(
                    sql.SQL(verb), name, sql.SQL(attributes), sql.Literal(verifier)
                )
            )
        # Above the time limit of every task: no caller waits longer.
        cursor.execute(f"ALTER ROLE ispvm_app SET statement_timeout = '{STATEMENT_SECONDS}s'")
        cursor.execute("GRANT pg_read_all_data TO ispvm_backup, ispvm_platform")
        cursor.execute("GRANT pg_write_all_data TO ispvm_platform")
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if not cursor.fetchone():
            cursor.execute(f"CREATE DATABASE {DATABASE} OWNER ispvm_owner")
        cursor.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")
        cursor.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {DATABASE} TO ispvm_app")
        cursor.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO ispvm_backup, ispvm_platform")
    admin.close()
