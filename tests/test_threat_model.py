"""docs/threat-model.md tells of the code as it is: each row names a test that there is, or says that there is none."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

PROJECT = Path(__file__).parents[1]
TEXT = (PROJECT / "docs" / "threat-model.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if re.match(r"\| \d", line)
]
NAMED = sorted({name for row in ROWS for name in re.findall(r"`(tests/[^`]+)`", row[-1])})
HOLE = "not there yet"


def test_it_has_its_rows_in_order():
    assert len(ROWS) >= 75
    assert [int(row[0]) for row in ROWS] == list(range(1, len(ROWS) + 1))
    assert all(len(row) == 6 and row[2] in "STRIDE" for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_row_names_its_test_or_says_that_there_is_none(row):
    has_test = bool(re.findall(r"`tests/[^`]+`", row[-1]))

    assert has_test or row[-1] == HOLE
    assert row[4], "what stands against it?"


@pytest.mark.parametrize("name", NAMED)
def test_what_it_names_is_there(name):
    path, *parts = name.split("::")

    text = (PROJECT / path).read_text(encoding="utf-8")

    assert re.search(r"^ *def test_", text, re.MULTILINE)
    for part in parts:
        assert re.search(rf"^ *(class|def) {re.escape(part)}\b", text, re.MULTILINE), part


@pytest.mark.long
def test_every_named_test_is_collected():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *NAMED],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
    )

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_nothing_unpickles_or_loads_yaml():
    loading = re.compile(r"^\s*(import|from) (pickle|yaml|marshal|shelve|dill)\b", re.MULTILINE)
    sources = [p for folder in ("apps", "agent", "ispvm") for p in (PROJECT / folder).rglob("*.py")]

    assert len(sources) > 200
    assert [str(p) for p in sources if loading.search(p.read_text(encoding="utf-8"))] == []
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
    assert settings.CELERY_TASK_SERIALIZER == "json"
