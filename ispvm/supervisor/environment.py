"""The environment of each process, with only the secrets it needs."""

import os
from collections.abc import Mapping

import psycopg2
import redis

from ispvm.supervisor.errors import LaunchError
from ispvm.supervisor.paths import Home
from ispvm.supervisor.secrets import ensure_master_key, ensure_secret
from ispvm.supervisor.services import Services, lease_services

DATABASE_VARIABLES = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "DATABASE_BACKUP_URL",
    "DATABASE_PLATFORM_URL",
)
# Only migrations, keeper, signer, tests and `manage` get what they need of these.
PRIVILEGED = (*DATABASE_VARIABLES[1:], "ISPVM_CA_KEY_FILE")
# Variables that agents and the simulator inherit: none is a secret of the platform.
INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "NO_COLOR")


def connect_services(home: Home, *, durable: bool = True) -> tuple[dict[str, str], Services | None]:
    """URLs of PostgreSQL and Valkey: from the environment, else of embedded servers.

    Raises LaunchError if a configured server does not respond or the URL of a role is missing.
    """
    home.prepare()
    configured = {n: os.environ[n] for n in (*DATABASE_VARIABLES, "REDIS_URL") if os.environ.get(n)}
    services = None
    if "DATABASE_URL" in configured:
        check_databases(configured)
    if "REDIS_URL" in configured:
        check_redis(configured["REDIS_URL"])
    if "DATABASE_URL" not in configured or "REDIS_URL" not in configured:
        services = lease_services(home, durable=durable)
    if "DATABASE_URL" in configured:
        embedded = {}
    else:
        configured = {
            name: url for name, url in configured.items() if name not in DATABASE_VARIABLES
        }
        embedded = services.urls() if services else {}
    if services:
        embedded.setdefault("REDIS_URL", services.urls()["REDIS_URL"])
    return {**embedded, **configured}, services


def check_databases(configured: Mapping[str, str]) -> None:
    if "DATABASE_OWNER_URL" not in configured:
        raise LaunchError(
            "DATABASE_URL is set but DATABASE_OWNER_URL is not; migrations need the owner's role."
        )
    for name in DATABASE_VARIABLES:
        if name not in configured:
            continue
        try:
            psycopg2.connect(configured[name], connect_timeout=5).close()
        except psycopg2.Error as error:
            reason = " ".join(str(error).split())
            raise LaunchError(f"The PostgreSQL of {name} does not respond: {reason}") from None


def check_redis(url: str) -> None:
    client = redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5)
    try:
        client.ping()
    except redis.RedisError as error:
        reason = " ".join(str(error).split())
        raise LaunchError(f"The Redis of REDIS_URL does not respond: {reason}") from None
    finally:
        client.close()


def platform_environment(home: Home, urls: Mapping[str, str]) -> dict[str, str]:
    """The environment of server processes with the URLs of all roles; see `unprivileged`."""
    secret_key = home.secrets / "secret_key"
    ensure_secret(secret_key)
    environment = {
        **os.environ,
        **urls,
        "ISPVM_HOME": str(home.root),
        "PYTHONUNBUFFERED": "1",
    }
    if "ISPVM_WATCHED_VOLUMES" not in os.environ:
        volumes = {"home": home.root, "database": home.server_data / "postgres"}
        environment["ISPVM_WATCHED_VOLUMES"] = ",".join(
            f"{name}={folder}" for name, folder in volumes.items() if folder.exists()
        )
    if "ISPVM_SECRET_KEY" not in os.environ:
        environment.setdefault("ISPVM_SECRET_KEY_FILE", str(secret_key))
    if not {"ISPVM_MASTER_KEY_FILE", "ISPVM_MASTER_KEY"} & set(os.environ):
        key_file = ensure_master_key(home.secrets / "master_key")
        environment["ISPVM_MASTER_KEY_FILE"] = str(key_file)
    if "ISPVM_CA_KEY_FILE" not in os.environ:
        environment["ISPVM_CA_KEY_FILE"] = str(ensure_master_key(home.secrets / "ca_key"))
    return environment


def unprivileged(environment: Mapping[str, str]) -> dict[str, str]:
    """For web, ingest, worker and beat: without privileged database roles and the signer's key."""
    return {name: value for name, value in environment.items() if name not in PRIVILEGED}


def foreign_environment() -> dict[str, str]:
    """For processes that simulate other hosts: agents, simulator, receiver."""
    inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    return {**inherited, "PYTHONUNBUFFERED": "1"}
