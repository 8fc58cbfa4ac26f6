"""Follows deployment.md and agents.md verbatim, on a separate host: as root, in a mount namespace.

    unshare --mount --propagation private python -m tests.deploy.first_installation FOLDER

Commands that need no container engine run verbatim; for those of `docker compose` its services start as processes.
Prints its results as JSON in the last line.
"""

import ctypes
import http.client
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ispvm.supervisor.paths import PROJECT
from tests.deploy.composed import Composed, make_programs, program, readable_python
from tests.deploy.https_client import HOST, Browser

CLEAN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INGEST_HOST = "ingest.example"
PASSWORD, EMAIL = "correct-horse-battery", "ops@noc.example"
COPIED = (
    "manage.py",
    "run.py",
    "LICENSE",
    "compose.yaml",
    "requirements.txt",
    "ispvm",
    "apps",
    "agent",
)
COPIED_TOO = ("templates", "static", "locale", "docs/operator-handbook")
#: Servers in the order in which compose.yaml lets them start.
SERVERS = ("signer", "web", "worker", "deliver", "beat", "keeper", "ingest", "nginx")
PATIENCE = 240


@dataclass
class Report:
    ran: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    saw: dict[str, Any] = field(default_factory=dict)


def blocks(page: str) -> list[str]:
    """The fenced commands of a page of the handbook, in their order."""
    text = (PROJECT / "docs/operator-handbook" / page).read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def block_with(page: str, words: str) -> str:
    found = [block for block in blocks(page) if words in block]
    assert found, f"{page} has no commands with {words!r}"
    return found[0]


class Installation:
    """One host: its folder, its files, its processes."""

    def __init__(self, folder: Path, report: Report) -> None:
        self.folder, self.report = folder, report
        self.app = folder / "app"
        self.processes: dict[str, subprocess.Popen] = {}
        self.metrics = {name: 9500 + number for number, name in enumerate(SERVERS)}

    def prepare_host(self) -> None:
        """Nothing that is written to /etc, /opt, /var/lib or /run outlives this process; the network is empty."""
        layers = self.folder / "layers"
        layers.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "layers", str(layers)], check=True)
        for top in ("etc", "opt", "var/lib", "run"):
            upper, work = layers / "upper" / top, layers / "work" / top
            upper.mkdir(parents=True)
            work.mkdir(parents=True)
            options = f"lowerdir=/{top},upperdir={upper},workdir={work}"
            subprocess.run(
                ["mount", "-t", "overlay", "overlay", "-o", options, f"/{top}"], check=True
            )
        with Path("/etc/hosts").open("a", encoding="utf-8") as hosts:
            hosts.write(f"127.0.0.1 localhost postgres valkey web {HOST} {INGEST_HOST}\n")
        # The account of the PostgreSQL image.
        subprocess.run(
            [
                "useradd",
                "--uid",
                "999",
                "--no-create-home",
                "--shell",
                "/usr/sbin/nologin",
                "image999",
            ],
            check=True,
        )
        self.app.mkdir()
        for name in (*COPIED, *COPIED_TOO):
            source, target = PROJECT / name, self.app / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)
        (self.app / "node_modules").symlink_to((PROJECT / "node_modules").resolve())

    def sh(self, commands: str, *, text: str = "", **variables: str) -> str:
        """Run commands of a page as root in a clean environment; raises when one of them fails."""
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", commands],
            cwd=self.app,
            env={"PATH": CLEAN_PATH, "HOME": "/root", "LANG": "C.UTF-8", **variables},
            input=text,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        self.report.ran += [line for line in commands.splitlines() if line.strip()]
        return done.stdout

    def composed(self, name: str) -> Composed:
        """A service with this host's paths in the place of its container's."""
        nginx_tmp = self.folder / "nginx-tmp"
        return Composed(
            {
                "ISPVM_HOST": HOST,
                "ISPVM_INGEST_HOST": INGEST_HOST,
                # Here nginx comes to web from the host itself.
                "ISPVM_NGINX_ADDRESS": "127.0.0.1",
            },
            {
                "/run/ispvm/metrics": f"/run/ispvm/{name}",
                "9464": str(self.metrics.get(name, 9464)),
                "dir /data": "dir /var/lib/valkey-data",
                **(
                    {"/tmp/": f"{nginx_tmp}/", "/etc/nginx/nginx.conf": f"{self.folder}/nginx.conf"}
                    if name == "nginx"
                    else {}
                ),
            },
            path=f"{self.folder}/venv/bin:{os.defpath}:/usr/sbin",
        )

    def environment(self, name: str) -> dict[str, str]:
        """The image's own variables, then the service's."""
        text = (PROJECT / "ispvm/deploy/Dockerfile").read_text(encoding="utf-8")
        lines = re.search(r"^ENV PATH=.*?[^\\]$", text, re.MULTILINE | re.DOTALL)
        assert lines is not None
        image = dict(re.findall(r"(\w+)=(\S+)", lines[0]))
        # A Python that was built with a shared library finds it where it is bound, not where it was installed.
        image["LD_LIBRARY_PATH"] = f"{self.folder}/python/lib"
        return {**image, **self.composed(name).environment(name)}

    def start(self, name: str, argv: list[str] | None = None) -> subprocess.Popen:
        composed = self.composed(name)
        log = (self.folder / f"{name}.log").open("ab")
        process = subprocess.Popen(
            argv or composed.argv(name),
            cwd=self.app,
            env=self.environment(name),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **composed.identity(name),
        )
        self.processes[name] = process
        return process

    def run(self, name: str, argv: list[str], *, text: str = "") -> str:
        """``docker compose run --rm NAME ...``."""
        done = subprocess.run(
            argv,
            cwd=self.app,
            env=self.environment(name),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            **self.composed(name).identity(name),
        )
        assert done.returncode == 0, f"{argv}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        return done.stdout

    def wait_healthy(self, name: str) -> None:
        composed = self.composed(name)
        check = [
            word.replace("wget", f"{self.folder}/venv/bin/wget") for word in composed.check(name)
        ]

        def healthy() -> bool:
            assert self.processes[name].poll() is None, f"{name} ended: {self.log(name)[-3000:]}"
            done = subprocess.run(
                check,
                cwd=self.app,
                env=self.environment(name),
                capture_output=True,
                check=False,
                **composed.identity(name),
            )
            return done.returncode == 0

        wait(healthy, f"{name} is healthy", lambda: self.log(name)[-3000:])

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=300)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait(question: Callable[[], Any], what: str, explain: Callable[[], str] = str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not in time: {what}\n{explain()}"
        time.sleep(0.3)
    return answer


# The services


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
        find_postgres(None, []), Account("image999", 999, 999), Path(sys.argv[1]) / "shelf"
    ).bin


def valkey_program() -> Path:
    from ispvm.supervisor.account import Account
    from ispvm.supervisor.programs import find_valkey, reachable_valkey

    return reachable_valkey(
        find_valkey(), Account("image999", 999, 1000), Path(sys.argv[1]) / "shelf"
    )


# The two pages of the handbook


def browser(host: Installation) -> Browser:
    return Browser(host.app / "fullchain.pem")


def follow_deployment(host: Installation) -> Browser:
    report = host.report
    make_certificate(host)
    host.sh(block_with("deployment.md", "make-secrets.sh"))
    up = block_with("deployment.md", "docker compose up")
    start_services(host, postgres_programs())
    report.not_run += up.splitlines()
    someone = browser(host)
    report.saw["before"] = [someone.get("/sign-in/").location, someone.get("/setup/").status]
    find_code = block_with("deployment.md", "docker compose logs web")
    report.saw["codes_in_the_log"] = host.sh(
        find_code.replace("docker compose logs web", f"cat {host.folder}/web.log")
    ).count("setup_code_created")
    (host.app / "password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    command = block_with("deployment.md", "bootstrap --email")
    words = shlex.split(command)
    assert words[:6] == ["docker", "compose", "run", "--rm", "--no-TTY", "migrate"], words
    assert words[-2:] == ["<", "password"], words
    told = host.run("migrate", words[6:-2], text=(host.app / "password").read_text())
    report.saw["bootstrap"] = told.splitlines()[0]
    again = host.run("migrate", words[6:-2], text="something else\n")
    report.saw["bootstrap_again"] = again.splitlines()[0]
    report.ran.append(shlex.join(words[6:]))
    report.not_run += [
        "docker compose run --rm migrate (its command ran as a process of the service's account)",
        "docker compose logs web (the same text was read from the process' output)",
        "valkey-cli of Valkey's health check (no such program in the Python package)",
    ]
    report.saw["setup_afterwards"] = someone.get("/setup/").status
    page = someone.post_form("/sign-in/", email=EMAIL, password=PASSWORD)
    assert page.status == 302, f"{page.status} {page.body[-2000:]}"
    # Platform operators need a second factor before anything else.
    assert someone.get("/api/v1/me/").status == 403
    added = someone.add_authenticator()
    assert added.status == 200, f"{added.status} {added.body[-2000:]}"
    report.saw["signed_in"] = someone.read("/me/")["user"]["email"]
    return someone


def make_certificate(host: Installation) -> None:
    """What the operator brings."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *(
                "-nodes",
                "-days",
                "2",
                "-subj",
                f"/CN={HOST}",
                "-addext",
                f"subjectAltName=DNS:{HOST}",
            ),
            *("-keyout", "privkey.pem", "-out", "fullchain.pem"),
        ],
        cwd=host.app,
        check=True,
        capture_output=True,
    )


def follow_agents(host: Installation, someone: Browser, unit: dict[str, str]) -> None:
    report = host.report
    router = start_router(host)
    site = someone.post("/sites/", {"name": "Core"})["id"]
    login = someone.post(
        "/credential-sets/",
        {"name": "routers", "kind": "routeros_api", **router.pop("login")},
    )["id"]
    device = someone.post("/devices/", {"site": site, "credential_set": login, **router})["id"]
    agent = someone.post("/agents/", {"name": "pop-1"})["id"]
    someone.post(f"/agents/{agent}/assignments/", {"device_ids": [device], "probe_device_ids": []})
    token = someone.post(f"/agents/{agent}/enroll-token/", {})["token"]
    host.sh(block_with("agents.md", "agent enroll --token-file"), text=f"{token}\n")
    report.saw["state_folder"] = subprocess.run(
        ["stat", "-c", "%U %a", "/var/lib/ispvm-agent", "/var/lib/ispvm-agent/identity.pem"],
        capture_output=True, text=True, check=True,
    ).stdout.split("\n")[:2]  # fmt: skip
    log = (host.folder / "agent.log").open("ab")
    host.processes["agent"] = subprocess.Popen(
        ["runuser", "-u", unit["User"], "--", *shlex.split(unit["ExecStart"])],
        cwd=unit["WorkingDirectory"],
        env={"PATH": CLEAN_PATH, **dict(word.split("=") for word in unit["Environment"].split())},
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    report.not_run += [
        line
        for line in block_with("agents.md", "systemctl enable").splitlines()
        if "systemctl" in line
    ]

    def polled() -> Any:
        rows = someone.read(f"/devices/{device}/")
        return (
            rows
            if rows.get("last_polled_at") or rows.get("board_name") or rows.get("version")
            else None
        )

    row = wait(
        polled,
        "the router is read",
        lambda: f"{someone.read(f'/devices/{device}/')}\n{host.log('agent')[-3000:]}",
    )
    report.saw["router"] = {
        name: row.get(name) for name in ("name", "board_name", "version", "state")
    }
    report.saw["agent"] = someone.read(f"/agents/{agent}/")["status"]
    report.saw["samples"] = wait(
        lambda: samples(someone, device), "samples are stored", lambda: host.log("agent")[-3000:]
    )
    owner = Path(f"/proc/{host.processes['agent'].pid}").stat().st_uid
    report.saw["agent_is_root"] = owner == 0 and children_are_root(host.processes["agent"].pid)
    told = host.sh(
        "cd /opt/ispvm-agent\n"
        "runuser -u ispvm-agent -- venv/bin/python -m agent status --state-dir /var/lib/ispvm-agent"
    )
    report.saw["status"] = told.splitlines()[0]


def children_are_root(pid: int) -> bool:
    """runuser itself stays root and waits; what it runs must not be."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return any(Path(f"/proc/{child}").stat().st_uid == 0 for child in children)


def samples(someone: Browser, device: str) -> list[dict[str, Any]]:
    """What the router itself told of its processors, as the REST API gives it out."""
    found: list[dict[str, Any]] = someone.read(
        f"/metrics/latest/?metric=device.cpu_pct&entity_id={device}"
    )["results"]
    return found


def start_router(host: Installation) -> dict[str, Any]:
    """compose.yaml's simulator; its routers talk to agents' addresses alone."""
    subprocess.run(
        ["ip", "route", "replace", "local", "127.20.0.0/16", "dev", "lo", "table", "local", "src", "127.30.0.1"],
        check=True,
    )  # fmt: skip
    composed = host.composed("simulator")
    folder = Path("/var/lib/ispvm-simulator")
    folder.mkdir()
    os.chown(folder, *composed.user("simulator"))
    argv = [
        word.replace("/var/lib/ispvm-agent", str(folder)) for word in composed.argv("simulator")
    ]
    host.start("simulator", argv)
    host.wait_healthy("simulator")
    connection = http.client.HTTPConnection("127.0.0.1", 8002, timeout=300)
    connection.request("GET", "/topology")
    topology = json.loads(connection.getresponse().read())
    row = topology["devices"][0]
    return {
        "name": row["name"],
        "role": row["role"],
        "management_address": row["address"],
        "api_port": topology["api_port"],
        "login": {
            "username": topology["credentials"]["username"],
            "secret": topology["credentials"]["password"],
        },
    }


def agent_unit() -> dict[str, str]:
    text = Path("/etc/systemd/system/ispvm-agent.service").read_text(encoding="utf-8")
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


@contextmanager
def offline() -> Iterator[None]:
    """A network of its own, with nothing but a loopback; packages were fetched before."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # As container engines do it: every account may listen on the usual ports.
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0", encoding="ascii")
    yield


def main() -> None:
    folder, report = Path(sys.argv[1]), Report()
    host = Installation(folder, report)
    host.prepare_host()
    python = readable_python(folder)
    make_programs(
        folder,
        python,
        programs={"valkey-server": valkey_program(), "nginx": program("nginx") or Path()},
    )
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    host.sh(block_with("agents.md", "useradd --system"), **pip)
    service = block_with("agents.md", "systemctl enable")
    host.sh("\n".join(line for line in service.splitlines() if "systemctl" not in line))
    try:
        with offline():
            someone = follow_deployment(host)
            follow_agents(host, someone, agent_unit())
    finally:
        host.stop()
    sys.stdout.write(json.dumps(asdict(report)) + "\n")


if __name__ == "__main__":
    main()
