"""One host of the first installation: its folder, its commands, its services as processes."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ispvm.supervisor.paths import PROJECT
from tests.deploy.composed import Composed
from tests.deploy.https_client import HOST

CLEAN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INGEST_HOST = "ingest.example"
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
COPIED_FOLDERS = ("templates", "static", "locale", "docs/operator-handbook")
#: Servers in the order in which compose.yaml lets them start.
SERVERS = ("signer", "web", "worker", "deliver", "beat", "keeper", "ingest", "nginx")
WAIT_SECONDS = 240


@dataclass
class Report:
    ran: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    observed: dict[str, Any] = field(default_factory=dict)


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
        for name in (*COPIED, *COPIED_FOLDERS):
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
    deadline = time.monotonic() + WAIT_SECONDS
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not in time: {what}\n{explain()}"
        time.sleep(0.3)
    return answer
