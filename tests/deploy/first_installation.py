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
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.deploy.composed import make_programs, program, readable_python
from tests.deploy.https_client import HOST, Browser
from tests.deploy.installation import CLEAN_PATH, Installation, Report, block_with, wait
from tests.deploy.installation_services import (
    browser,
    postgres_programs,
    start_services,
    valkey_program,
)

PASSWORD, EMAIL = "correct-horse-battery", "ops@noc.example"


def follow_deployment(host: Installation) -> Browser:
    report = host.report
    make_certificate(host)
    host.sh(block_with("deployment.md", "make-secrets.sh"))
    up = block_with("deployment.md", "docker compose up")
    start_services(host, postgres_programs())
    report.not_run += up.splitlines()
    operator = browser(host)
    report.observed["before"] = [operator.get("/sign-in/").location, operator.get("/setup/").status]
    find_code = block_with("deployment.md", "docker compose logs web")
    report.observed["codes_in_the_log"] = host.sh(
        find_code.replace("docker compose logs web", f"cat {host.folder}/web.log")
    ).count("setup_code_created")
    (host.app / "password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    command = block_with("deployment.md", "bootstrap --email")
    words = shlex.split(command)
    assert words[:6] == ["docker", "compose", "run", "--rm", "--no-TTY", "migrate"], words
    assert words[-2:] == ["<", "password"], words
    output = host.run("migrate", words[6:-2], text=(host.app / "password").read_text())
    report.observed["bootstrap"] = output.splitlines()[0]
    again = host.run("migrate", words[6:-2], text="something else\n")
    report.observed["bootstrap_again"] = again.splitlines()[0]
    report.ran.append(shlex.join(words[6:]))
    report.not_run += [
        "docker compose run --rm migrate (its command ran as a process of the service's account)",
        "docker compose logs web (the same text was read from the process' output)",
        "valkey-cli of Valkey's health check (no such program in the Python package)",
    ]
    report.observed["setup_afterwards"] = operator.get("/setup/").status
    page = operator.post_form("/sign-in/", email=EMAIL, password=PASSWORD)
    assert page.status == 302, f"{page.status} {page.body[-2000:]}"
    # Platform operators need a second factor before anything else.
    assert operator.get("/api/v1/me/").status == 403
    added = operator.add_authenticator()
    assert added.status == 200, f"{added.status} {added.body[-2000:]}"
    report.observed["signed_in"] = operator.read("/me/")["user"]["email"]
    return operator


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


def follow_agents(host: Installation, operator: Browser, unit: dict[str, str]) -> None:
    report = host.report
    router = start_router(host)
    site = operator.post("/sites/", {"name": "Core"})["id"]
    login = operator.post(
        "/credential-sets/",
        {"name": "routers", "kind": "routeros_api", **router.pop("login")},
    )["id"]
    device = operator.post("/devices/", {"site": site, "credential_set": login, **router})["id"]
    agent = operator.post("/agents/", {"name": "pop-1"})["id"]
    operator.post(f"/agents/{agent}/assignments/", {"device_ids": [device], "probe_device_ids": []})
    token = operator.post(f"/agents/{agent}/enroll-token/", {})["token"]
    host.sh(block_with("agents.md", "agent enroll --token-file"), text=f"{token}\n")
    report.observed["state_folder"] = subprocess.run(
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
        rows = operator.read(f"/devices/{device}/")
        return (
            rows
            if rows.get("last_polled_at") or rows.get("board_name") or rows.get("version")
            else None
        )

    row = wait(
        polled,
        "the router is read",
        lambda: f"{operator.read(f'/devices/{device}/')}\n{host.log('agent')[-3000:]}",
    )
    report.observed["router"] = {
        name: row.get(name) for name in ("name", "board_name", "version", "state")
    }
    report.observed["agent"] = operator.read(f"/agents/{agent}/")["status"]
    report.observed["samples"] = wait(
        lambda: samples(operator, device), "samples are stored", lambda: host.log("agent")[-3000:]
    )
    owner = Path(f"/proc/{host.processes['agent'].pid}").stat().st_uid
    report.observed["agent_is_root"] = owner == 0 and children_are_root(host.processes["agent"].pid)
    output = host.sh(
        "cd /opt/ispvm-agent\n"
        "runuser -u ispvm-agent -- venv/bin/python -m agent status --state-dir /var/lib/ispvm-agent"
    )
    report.observed["status"] = output.splitlines()[0]


def children_are_root(pid: int) -> bool:
    """runuser itself stays root and waits; what it runs must not be."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return any(Path(f"/proc/{child}").stat().st_uid == 0 for child in children)


def samples(operator: Browser, device: str) -> list[dict[str, Any]]:
    """Samples of the CPU load that the router reported, from the REST API."""
    found: list[dict[str, Any]] = operator.read(
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
            operator = follow_deployment(host)
            follow_agents(host, operator, agent_unit())
    finally:
        host.stop()
    sys.stdout.write(json.dumps(asdict(report)) + "\n")


if __name__ == "__main__":
    main()
