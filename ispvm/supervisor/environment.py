"""The environment of each process: what it needs to know and nothing that is not its business."""

import os
from collections.abc import Mapping

import psycopg2
import redis

from ispvm.supervisor.errors import LaunchError
from ispvm.supervisor.places import Home
from ispvm.supervisor.secrets import keep_master_key, keep_secret
from ispvm.supervisor.services import Services, lease_services

DATABASE_VARIABLES = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "DATABASE_BACKUP_URL",
    "DATABASE_PLATFORM_URL",
)
# Only migrations, the keeper, the signer, the tests and an operator's own commands get what they need of these.
PRIVILEGED = (*DATABASE_VARIABLES[1:], "ISPVM_CA_KEY_FILE")
# What an agent or the simulator may inherit: they hold none of the platform's secrets.
HARMLESS = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "NO_COLOR")


def connect_services(home: Home, *, durable: bool = True) -> tuple[dict[str, str], Services | None]:
    """Addresses of PostgreSQL and Valkey: those of the environment, else embedded ones.

    Raises LaunchError when a given server does not answer or a role's address is missing.
    """
    home.prepare()
    given = {n: os.environ[n] for n in (*DATABASE_VARIABLES, "REDIS_URL") if os.environ.get(n)}
    services = None
    if "DATABASE_URL" in given:
        check_databases(given)
    if "REDIS_URL" in given:
        check_redis(given["REDIS_URL"])
    if "DATABASE_URL" not in given or "REDIS_URL" not in given:
        services = lease_services(home, durable=durable)
    if "DATABASE_URL" in given:
        embedded = {}
    else:
        given = {name: url for name, url in given.items() if name not in DATABASE_VARIABLES}
        embedded = services.urls() if services else {}
    if services:
        embedded.setdefault("REDIS_URL", services.urls()["REDIS_URL"])
    return {**embedded, **given}, services


def check_databases(given: Mapping[str, str]) -> None:
    if "DATABASE_OWNER_URL" not in given:
        raise LaunchError(
            "DATABASE_URL is set but DATABASE_OWNER_URL is not; migrations need the owner's role."
        )
    for name in DATABASE_VARIABLES:
        if name not in given:
            continue
        try:
            psycopg2.connect(given[name], connect_timeout=5).close()
        except psycopg2.Error as error:
            reason = " ".join(str(error).split())
            raise LaunchError(f"The PostgreSQL of {name} does not answer: {reason}") from None


def check_redis(url: str) -> None:
    client = redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5)
    try:
        client.ping()
    except redis.RedisError as error:
        reason = " ".join(str(error).split())
        raise LaunchError(f"The Redis of REDIS_URL does not answer: {reason}") from None
    finally:
        client.close()


def platform_environment(home: Home, urls: Mapping[str, str]) -> dict[str, str]:
    """The environment of server processes, with every role's address: see `unprivileged`."""
    secret_key = home.secrets / "secret_key"
    keep_secret(secret_key)
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
        key_file = keep_master_key(home.secrets / "master_key")
        environment["ISPVM_MASTER_KEY_FILE"] = str(key_file)
    if "ISPVM_CA_KEY_FILE" not in os.environ:
        environment["ISPVM_CA_KEY_FILE"] = str(keep_master_key(home.secrets / "ca_key"))
    return environment


def unprivileged(environment: Mapping[str, str]) -> dict[str, str]:
    """Without the roles that may change tables or see across tenants, and unable to sign: web, ingest, worker, beat."""
    return {name: value for name, value in environment.items() if name not in PRIVILEGED}


def foreign_environment() -> dict[str, str]:
    """For processes that stand for somebody else's machines: agents, simulator, receiver."""
    kept = {name: os.environ[name] for name in HARMLESS if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1"}
