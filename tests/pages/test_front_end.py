"""Front-end packages: locked without addresses, collected from where npm put them, absent without harm."""

import json
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

from apps.pages import front_end

LOCK = json.loads((settings.BASE_DIR / "package-lock.json").read_text(encoding="utf-8"))


class TestLock:
    def test_names_no_download_address(self):
        assert "resolved" not in json.dumps(LOCK)

    def test_pins_every_package_by_hash(self):
        packages = {name: row for name, row in LOCK["packages"].items() if name}

        assert packages
        assert all(row["integrity"].startswith("sha512-") for row in packages.values())


class TestPackageFinder:
    @pytest.fixture
    def packages(self, tmp_path: Path, monkeypatch) -> Path:
        monkeypatch.setattr(front_end, "_packages", lambda: tmp_path)
        return tmp_path

    def test_finds_a_named_file_of_a_package(self, packages):
        file = packages / "uplot" / "dist" / "uPlot.min.css"
        file.parent.mkdir(parents=True)
        file.write_text("x")

        assert finders.find("vendor/uPlot.min.css") == str(file)
        assert [name for name, _ in front_end.PackageFinder().list(None)] == ["uPlot.min.css"]

    def test_finds_nothing_that_is_not_listed(self, packages):
        (packages / "uplot").mkdir()
        (packages / "uplot" / "package.json").write_text("{}")

        assert finders.find("vendor/package.json") is None
        assert finders.find("vendor/../uplot/package.json") is None

    def test_is_empty_where_npm_put_nothing(self, packages):
        assert list(front_end.PackageFinder().list(None)) == []
        assert finders.find("vendor/uPlot.min.css") is None
