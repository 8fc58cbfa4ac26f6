"""compose.yaml and what it names.

These are structural checks of our own. They do not replace `docker compose config`, which runs where Docker is
(no copy of the Compose specification's schema is kept here), and say nothing about a built image.
"""

import re
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml

from apps.events.queues import Queue
from ispvm.supervisor.postgres import ROLES
from tests.deploy.composed import interpolate

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "ispvm/deploy"
COMPOSE = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
LONG_LIVED = {name: service for name, service in SERVICES.items() if name != "migrate"}
SERVERS = {"web", "ingest", "signer", "worker", "deliver", "beat", "keeper"}
KNOWN = {
    *(
        "image",
        "build",
        "user",
        "read_only",
        "init",
        "cap_drop",
        "security_opt",
        "tmpfs",
        "restart",
    ),
    *(
        "stop_grace_period",
        "stop_signal",
        "logging",
        "environment",
        "secrets",
        "networks",
        "volumes",
    ),
    *(
        "depends_on",
        "healthcheck",
        "deploy",
        "command",
        "entrypoint",
        "ports",
        "profiles",
        "shm_size",
    ),
}


def secrets_of(service: dict) -> set[str]:
    return {s if isinstance(s, str) else s["source"] for s in service.get("secrets", ())}


def words(service: dict) -> str:
    return " ".join(service.get("command", ()))


def test_every_process_is_there():
    assert {"postgres", "valkey", "nginx", "migrate", "agent", "simulator"} | SERVERS == set(
        SERVICES
    )
    assert SERVICES["agent"]["profiles"] == ["agent"]
    assert SERVICES["simulator"]["profiles"] == ["simulator"]


@pytest.mark.parametrize("name", SERVICES)
class TestEachService:
    def test_uses_only_known_keys(self, name):
        assert set(SERVICES[name]) <= KNOWN

    def test_is_not_root_and_cannot_become_it(self, name):
        service = SERVICES[name]

        assert service["user"].split(":")[0] not in {"0", "root", ""}
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert not {"privileged", "cap_add", "pid"} & set(service)

    def test_is_bounded_and_comes_back(self, name):
        service = SERVICES[name]
        limits = service["deploy"]["resources"]["limits"]

        assert set(limits) == {"cpus", "memory"}
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
        assert service["logging"]["options"]["max-size"]

    def test_names_what_exists(self, name):
        service = SERVICES[name]

        assert secrets_of(service) <= set(COMPOSE["secrets"])
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (PROJECT / source).is_file(), volume

    def test_has_no_secret_in_its_environment(self, name):
        for variable, value in (SERVICES[name].get("environment") or {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|DATABASE|REDIS", variable):
                assert variable.endswith("_FILE"), variable
                assert value.removeprefix("/run/secrets/") in secrets_of(SERVICES[name])


@pytest.mark.parametrize("name", LONG_LIVED)
def test_each_says_whether_it_is_healthy(name):
    check = LONG_LIVED[name]["healthcheck"]

    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries"} <= set(check)


def test_only_migrations_and_the_keeper_get_the_owners_address():
    holders = {n for n, s in SERVICES.items() if "database_owner_url" in secrets_of(s)}

    assert holders == {"migrate", "keeper"}


def test_only_the_signer_gets_the_key_of_the_authority():
    assert {n for n, s in SERVICES.items() if "ca_key" in secrets_of(s)} == {"signer"}


def test_only_nginx_is_reached_from_outside_and_the_servers_are_inside():
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"nginx"}
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == SERVICES["valkey"]["networks"] == ["inside"]
    assert "inside" not in SERVICES["nginx"]["networks"]


def test_every_queue_has_a_worker():
    served = [
        queue
        for name in ("worker", "deliver")
        for queue in re.search(r"--queues=(\S+)", words(SERVICES[name]))[1].split(",")
    ]

    assert sorted(served) == sorted(Queue)


def test_servers_wait_for_the_tables():
    for name in SERVERS:
        assert SERVICES[name]["depends_on"]["migrate"] == {
            "condition": "service_completed_successfully"
        }


def test_groups_count_in_folders_and_threads_do_not():
    counting = {
        n for n, s in SERVICES.items() if "PROMETHEUS_MULTIPROC_DIR" in s.get("environment", {})
    }

    assert counting == {"web", "ingest", "worker"}


def test_the_image_has_two_stages_and_an_unprivileged_user():
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    stages = [n for n, line in enumerate(lines) if line.startswith("FROM ")]

    assert len(stages) == 2
    assert [line for line in lines[stages[1] :] if line.startswith("USER ")] == ["USER ispvm"]
    assert any("--require-hashes" in line for line in lines)
    copied = [
        name
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    ]
    allowed = (PROJECT / ".dockerignore").read_text(encoding="utf-8").split()
    for name in copied:
        assert (PROJECT / name).exists()
        assert {f"!{path}" for path in (Path(name), *Path(name).parents)} & set(allowed)


def test_secrets_are_all_made_but_the_certificate(tmp_path):
    folder = tmp_path / "secrets"
    subprocess.run(
        ["/bin/sh", str(DEPLOY / "make-secrets.sh"), str(folder)], check=True, capture_output=True
    )

    created = {path.name for path in folder.iterdir()}

    assert created == set(COMPOSE["secrets"]) - {"web_certificate", "web_certificate_key"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    assert re.fullmatch(r"[0-9a-f]{64}\n", (folder / "master_key").read_text())


def test_the_roles_are_those_of_the_launcher():
    script = (DEPLOY / "postgres-roles.sh").read_text(encoding="utf-8")
    created = dict(re.findall(r"^    role (\w+) '(.*)'$", script, re.MULTILINE))

    assert set(created) == set(ROLES)
    for name, attributes in ROLES.items():
        assert ("NOBYPASSRLS" in attributes) == ("NOBYPASSRLS" in created[name])


def test_web_trusts_nginx_and_nobody_else():
    """An address of its own, out of the range from which the others get theirs."""
    plain = interpolate(COMPOSE, {"ISPVM_HOST": "a", "ISPVM_INGEST_HOST": "b"})
    network = plain["networks"]["front"]["ipam"]["config"][0]
    address = ip_address(plain["services"]["nginx"]["networks"]["front"]["ipv4_address"])
    trusted = ip_network(plain["services"]["web"]["environment"]["ISPVM_TRUSTED_PROXIES"])

    assert list(trusted) == [address]
    assert address in ip_network(network["subnet"])
    assert address not in ip_network(network["ip_range"])


class TestNginx:
    TEXT = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")

    def test_keeps_the_operators_pages_inside(self):
        for page in ("/metrics", "/livez", "/readyz"):
            assert f"location = {page} {{ return 404; }}" in self.TEXT

    def test_drops_what_clients_say_of_themselves(self):
        """tests/ingest/test_behind_nginx.py tries it."""
        assert "proxy_set_header X-Forwarded-For $remote_addr;" in self.TEXT
        assert "proxy_add_x_forwarded_for" not in self.TEXT

    def test_reaches_ingest_over_a_socket_that_no_other_container_has(self):
        mounts = {n: s.get("volumes", ()) for n, s in SERVICES.items()}

        assert {n for n, v in mounts.items() if any(m.startswith("ingest:") for m in v)} == {
            "nginx",
            "ingest",
        }
        assert "server unix:/run/ispvm-ingest/ingest.sock;" in self.TEXT
        assert "unix:/run/ispvm-ingest/ingest.sock" in words(SERVICES["ingest"])
        assert "front" not in SERVICES["ingest"]["networks"]

    @pytest.mark.skipif(not shutil.which("nginx"), reason="needs an nginx on this machine")
    def test_is_understood_by_nginx(self, tmp_path):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *(
                    "-subj",
                    "/CN=t",
                    "-keyout",
                    str(tmp_path / "key"),
                    "-out",
                    str(tmp_path / "crt"),
                ),
            ],
            check=True,
            capture_output=True,
        )
        text = self.TEXT.replace("/tmp/", f"{tmp_path}/")
        text = text.replace("/run/secrets/web_certificate_key", str(tmp_path / "key"))
        text = text.replace("/run/secrets/web_certificate;", f"{tmp_path}/crt;")
        text = text.replace("/run/ispvm-ingest/tls/ca.pem", f"{tmp_path}/crt")
        (tmp_path / "nginx.conf").write_text(text)

        result = subprocess.run(
            ["nginx", "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
            check=False,
            capture_output=True,
            text=True,
        )

        assert result.returncode == 0, result.stderr


@pytest.mark.skipif(
    subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    != 0
    if shutil.which("docker")
    else True,
    reason="needs docker compose on this machine",
)
def test_docker_compose_understands_it(tmp_path):
    result = subprocess.run(
        ["docker", "compose", "-f", str(PROJECT / "compose.yaml"), "config", "--quiet"],
        check=False,
        capture_output=True,
        text=True,
        env={
            "PATH": "/usr/bin:/bin:/usr/local/bin",
            "ISPVM_HOST": "noc.example",
            "ISPVM_INGEST_HOST": "ingest.example",
        },
    )

    assert result.returncode == 0, result.stderr
