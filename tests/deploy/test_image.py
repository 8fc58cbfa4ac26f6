"""The image holds what production needs, checked on the same tree and packages without a container engine."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from ispvm.deploy import image_size, requirement_sets
from ispvm.supervisor.paths import PROJECT

#: Not in the image.
LEFT_OUT = ("apps/lab", "agent/simulator", "ispvm/supervisor", "tests", "docs/gallery")
#: Of the tests and checks.
TOOLS = {"pytest", "hypothesis", "schemathesis", "playwright", "ruff", "mypy", "librouteros"}
STARTS = """
import json, sys
sys.path[:] = [sys.argv[1], sys.argv[2], *sys.argv[3:]]
import django
django.setup()
from django.apps import apps
from django.core.management import call_command
from django.urls import get_resolver
import agent.__main__, agent.runtime, ispvm.celery
import ispvm.deploy.gunicorn_web
call_command("check")
print(json.dumps({
    "apps": sorted(config.name for config in apps.get_app_configs()),
    "routes": len(get_resolver().url_patterns),
    "loaded": sorted(n for n in sys.modules if n.startswith(("apps.lab", "agent.simulator", "ispvm.supervisor"))),
}))
"""


class TestSubsets:
    def test_are_up_to_date(self):
        for path, text in requirement_sets.texts().items():
            assert path.read_text(encoding="utf-8") == text, "python3 run.py lock"

    def test_every_package_of_a_group_is_in_its_subset(self):
        groups = requirement_sets.groups_of((PROJECT / "requirements.in").read_text())

        for subset, names in requirement_sets.SUBSETS.items():
            text = requirement_sets.file_of(subset).read_text()
            packages = {name for name, _, _ in requirement_sets.blocks_of(text)}
            assert {package for name in names for package in groups[name]} <= packages

    def test_a_dependency_comes_with_the_package_that_requires_it(self):
        locked = (
            "a==1 \\\n    --hash=sha256:00\n    # via -r requirements.in\n"
            "b==2 \\\n    --hash=sha256:00\n    # via\n    #   a\n    #   z\n"
            "c==3 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n    # via b\n"
            "d==4 \\\n    --hash=sha256:00\n    # via z\n"
        )

        found = requirement_sets.subset_of(locked, {"a"})

        assert [name for name, _, _ in requirement_sets.blocks_of(found)] == ["a", "b", "c"]

    def test_every_group_is_locked(self):
        groups = requirement_sets.groups_of((PROJECT / "requirements.in").read_text())
        locked = requirement_sets.blocks_of((PROJECT / "requirements.txt").read_text())

        assert set().union(*groups.values()) <= {name for name, _, _ in locked}
        assert set(groups) == {"runtime", "embedded", "front-end", "tests", "checks"}


class TestContents:
    def test_no_lab_no_simulator_no_tests(self):
        copied = image_size.copied_files()

        assert Path("manage.py") in copied
        assert not [p for p in copied if str(p).startswith(LEFT_OUT)]

    def test_no_tools(self):
        assert not TOOLS & set(image_size.packages())

    def test_is_smaller_than_its_limit(self, record_property):
        parts = image_size.parts()

        record_property("bar", f"image: {sum(parts.values()) / 1e6:.0f} MB, {parts}")
        assert sum(parts.values()) < image_size.LIMIT_BYTES


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """The application as the image has it, and a folder with its packages alone."""
    folder = tmp_path_factory.mktemp("image")
    for path in image_size.copied_files():
        (folder / "app" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / path, folder / "app" / path)
    packages = Path(sysconfig.get_path("purelib"))
    for name in image_size.packages():
        for file in image_size.package_files(name):
            if file.is_relative_to(packages):
                link = folder / "packages" / file.relative_to(packages)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file)
    return folder


def test_starts_with_what_the_image_holds(image):
    environment = {
        "PATH": os.defpath,
        "DJANGO_SETTINGS_MODULE": "ispvm.settings.server",
        "ISPVM_ENV": "prod",
        "ISPVM_HOME": str(image / "home"),
        "ISPVM_SECRET_KEY": "0123456789abcdef" * 4,
        "ISPVM_MASTER_KEY_FILE": "/unused",
        "DATABASE_URL": "postgres://u@h/d",
        "REDIS_URL": "redis://h",
    }
    paths = [str(image / "app"), str(image / "packages"), *_standard_library()]

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STARTS, *paths],
        cwd=image / "app",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert "apps.console" in found["apps"]
    assert "apps.lab" not in found["apps"]
    assert found["routes"] > 5
    assert found["loaded"] == []


def _standard_library() -> list[str]:
    return [sysconfig.get_path("stdlib"), str(Path(sysconfig.get_path("stdlib")) / "lib-dynload")]
