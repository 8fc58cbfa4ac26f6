"""The services of compose.yaml as processes of this machine: its commands, users and environment.

Nothing but names of hosts, ports and folders of containers is replaced: what would be another file system or another
network there is a folder or a port here.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ispvm.supervisor.paths import PROJECT

COMPOSE = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))
_VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?:(:[-?])([^}]*))?\}")


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """As Compose does it: ``${NAME}``, ``${NAME:-default}``, ``${NAME:?message}``, ``$$`` for a dollar sign."""
    if isinstance(value, dict):
        return {key: interpolate(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [interpolate(part, variables) for part in value]
    if not isinstance(value, str):
        return value

    def one(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        if name is None:
            return "$"
        given = variables.get(name, "")
        if not given and kind == ":?":
            raise AssertionError(f"{name}: {text}")
        return given or (text if kind == ":-" else "")

    return _VARIABLE.sub(one, value)


@dataclass
class Composed:
    """compose.yaml with these variables, and what stands for a container's paths and addresses here."""

    variables: Mapping[str, str]
    #: In commands, environments and health checks.
    replaced: dict[str, str] = field(default_factory=dict)
    path: str = os.defpath

    def service(self, name: str) -> dict[str, Any]:
        return self._here(interpolate(COMPOSE["services"][name], self.variables))

    def argv(self, name: str) -> list[str]:
        service = self.service(name)
        return [*service.get("entrypoint", []), *service["command"]]

    def check(self, name: str) -> list[str]:
        """The health check's command."""
        kind, *words = self.service(name)["healthcheck"]["test"]
        return ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words

    def environment(self, name: str) -> dict[str, str]:
        return {"PATH": self.path, **self.service(name).get("environment", {})}

    def user(self, name: str) -> tuple[int, int]:
        uid, gid = self.service(name)["user"].split(":")
        return int(uid), int(gid)

    def start(self, name: str, *, argv: list[str] | None = None, **more: Any) -> subprocess.Popen:
        """The service's own command, or another one in its place as ``docker compose run`` does it."""
        return subprocess.Popen(
            argv or self.argv(name),
            cwd=more.pop("cwd", PROJECT),
            env=self.environment(name),
            start_new_session=True,
            **self.identity(name),
            **more,
        )

    def is_healthy(self, name: str) -> bool:
        done = subprocess.run(
            self.check(name),
            cwd=PROJECT,
            env=self.environment(name),
            capture_output=True,
            check=False,
            **self.identity(name),
        )
        return done.returncode == 0

    def identity(self, name: str) -> dict[str, Any]:
        """The service's account where this process may become it, else none."""
        if os.geteuid() != 0:
            return {}
        uid, gid = self.user(name)
        return {"user": uid, "group": gid, "extra_groups": []}

    def _here(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._here(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self._here(part) for part in value]
        if isinstance(value, str) and self.replaced:
            # In one pass: what was put in is not replaced again.
            longest_first = sorted(self.replaced, key=len, reverse=True)
            pattern = "|".join(map(re.escape, longest_first))
            return re.sub(pattern, lambda match: self.replaced[match[0]], value)
        return value


def readable_python(folder: Path) -> Path:
    """This very Python, where every account can run it: one below /root is bound into the folder.

    For root in a mount namespace of its own.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    bound = folder / "python"
    bound.mkdir()
    subprocess.run(["mount", "--bind", sys.base_prefix, str(bound)], check=True)
    return bound / "bin" / version


def make_programs(folder: Path, python: Path, *, programs: Mapping[str, Path]) -> Path:
    """The image's /opt/venv: a virtual environment with this project's packages, readable by every account."""
    venv = folder / "venv"
    subprocess.run([str(python), "-m", "venv", "--without-pip", str(venv)], check=True)
    packages = next(venv.glob("lib/python3*/site-packages"))
    own = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    (packages / "project.pth").write_text(f"{own}\n", encoding="utf-8")
    for module in ("gunicorn", "celery"):
        script = venv / "bin" / module
        script.write_text(f'#!/bin/sh\nexec {venv}/bin/python -m {module} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    for name, program in programs.items():
        (venv / "bin" / name).symlink_to(program)
    return venv / "bin"


def program(name: str) -> Path | None:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None
