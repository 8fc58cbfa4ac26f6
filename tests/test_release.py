"""One version, stated once; the changelog has an entry for it, and releases are listed with their commits."""

import json
import re
import tomllib

from agent.version import VERSION
from tests.database import PROJECT

RELEASE = re.compile(r"^## (\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)$", re.MULTILINE)


def test_the_changelog_begins_with_this_version():
    entries = RELEASE.findall((PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"))

    assert entries[0][0] == VERSION
    assert [date for _, date in entries] == sorted((date for _, date in entries), reverse=True)


def test_the_project_takes_its_version_from_the_agent():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))

    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "agent.version.VERSION"}


def test_releases_are_listed_in_order_with_their_commits():
    releases = json.loads((PROJECT / "docs/releases.json").read_text(encoding="utf-8"))
    versions = [tuple(map(int, release["version"].split("."))) for release in releases]

    assert versions == sorted(set(versions))
    assert all(re.fullmatch(r"[0-9a-f]{40}", release["commit"]) for release in releases)
    assert not versions or versions[-1] <= tuple(map(int, VERSION.split(".")))
