"""The services of compose.yaml as processes of one host, started as `docker compose up` does."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.deploy.https_client import Browser
from tests.deploy.installation import CLEAN_PATH, SERVERS, Installation, wait


def start_database(host: Installation, programs: Path) -> None:
    """As the image's entry point: initdb, a server on its socket alone, our script, then the server itself."""
    composed = host.composed("postgres")
    identity = composed.identity("postgres")
    data, sockets = Path("/var/lib/postgresql"), Path("/run/postgresql")
    for path in (data, sockets):
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, *composed.user("postgres"))
    environment = {
        **composed.environment("postgres"),
        "PATH": f"{programs}:{CLEAN_PATH}",
        "LC_ALL": "C.UTF-8",
    }
    cluster = data / "data"
    arguments = shlex.split(environment["POSTGRES_INITDB_ARGS"])
    settings = {"cwd": "/", "env": environment, **identity}
    subprocess.run(
        ["initdb", "-D", str(cluster), "-U", "postgres", "-E", "UTF8", "--auth-local=trust",
         f"--pwfile={environment['POSTGRES_PASSWORD_FILE']}", *arguments],
        check=True, capture_output=True, **settings,
    )  # fmt: skip
    server = ["postgres", "-D", str(cluster), "-k", str(sockets)]
    first = subprocess.Popen(
        [*server, "-c", "listen_addresses="], stderr=subprocess.DEVNULL, **settings
    )
    ask = ["pg_isready", "-q", "-h", str(sockets)]
    wait(lambda: subprocess.run(ask, check=False, **settings).returncode == 0, "first server")
    subprocess.run(
        ["/bin/sh", str(host.app / "ispvm/deploy/postgres-roles.sh")],
        check=True,
        **{**settings, "env": {**environment, "PGHOST": str(sockets)}},
    )
    assert subprocess.run(composed.check("postgres"), check=False, **settings).returncode != 0
    first.terminate()
    first.wait()
    log = (host.folder / "postgres.log").open("ab")
    host.processes["postgres"] = subprocess.Popen(
        [*server, "-c", "listen_addresses=127.0.0.1"], stderr=log, **settings
    )
    check = composed.check("postgres")
    wait(lambda: subprocess.run(check, check=False, capture_output=True, **settings).returncode == 0,
         "postgres is healthy", lambda: host.log("postgres")[-2000:])  # fmt: skip


def start_services(host: Installation, postgres: Path) -> None:
    """What ``docker compose up`` does."""
    Path("/run/secrets").mkdir()
    subprocess.run(["mount", "--bind", str(host.app / "secrets"), "/run/secrets"], check=True)
    for path, service in (
        ("/run/ispvm-ingest", "ingest"),
        ("/run/ispvm", "web"),
        ("/var/lib/ispvm", "web"),
        ("/var/lib/valkey-data", "valkey"),
        (str(host.folder / "nginx-tmp"), "nginx"),
    ):
        Path(path).mkdir(parents=True, mode=0o700, exist_ok=True)
        os.chown(path, *host.composed(service).user(service))
    conf = (host.app / "ispvm/deploy/nginx.conf").read_text(encoding="utf-8")
    # Of containers: the published ports, the engine's name server and the folder of its own.
    for there, here in {
        "listen 8080": "listen 80",
        "listen 8443": "listen 443",
        "listen 8444": "listen 8443",
        "set $web web:8000": "set $web 127.0.0.1:8000",
        "/tmp/": f"{host.folder}/nginx-tmp/",
    }.items():
        assert there in conf, there
        conf = conf.replace(there, here)
    (host.folder / "nginx.conf").write_text(conf, encoding="utf-8")
    start_database(host, postgres)
    host.start("valkey")
    migrate = host.start("migrate")
    wait(lambda: migrate.poll() is not None, "migrate")
    assert migrate.returncode == 0, host.log("migrate")[-3000:]
    host.run("web", ["python", "manage.py", "collectstatic", "--no-input", "--verbosity", "0"])
    for name in SERVERS:
        host.start(name)
        if name in {"signer", "ingest"}:
            host.wait_healthy(name)
    for name in SERVERS:
        if name != "nginx":
            host.wait_healthy(name)
    wait(
        lambda: (
            browser(host).get("/sign-in/").status in {200, 302} or host.processes["nginx"].poll()
        ),
        "nginx answers",
        lambda: host.log("nginx")[-2000:],
    )


def postgres_programs() -> Path:
    """Those of the system, else those of the Python package, where the image's account can run them."""
    from ispvm.supervisor.account import Account
    from ispvm.supervisor.programs import find_postgres, reachable_postgres

    return reachable_postgres(
        find_postgres(None, []), Account("image999", 999, 999), Path(sys.argv[1]) / "programs"
    ).bin


def valkey_program() -> Path:
    from ispvm.supervisor.account import Account
    from ispvm.supervisor.programs import find_valkey, reachable_valkey

    return reachable_valkey(
        find_valkey(), Account("image999", 999, 1000), Path(sys.argv[1]) / "programs"
    )


def browser(host: Installation) -> Browser:
    return Browser(host.app / "fullchain.pem")
