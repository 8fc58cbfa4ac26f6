"""Ingest loads what it serves with and nothing of sign-in: its process has no apps for that."""

import os
import subprocess
import sys

import pytest

from ispvm.supervisor.paths import PROJECT
from tests.database import url_of_this_test

QUESTION = """
import sys
import ispvm.ingest_wsgi
print([name for name in sys.modules if name.split(".")[0] == "allauth"])
"""


@pytest.mark.django_db(transaction=True)
def test_the_application_imports_no_sign_in():
    """In a process of its own: in this one everything is loaded already."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DJANGO_SETTINGS_MODULE", "ISPVM_CA_KEY_FILE", "DATABASE_OWNER_URL"}
    }

    done = subprocess.run(
        [sys.executable, "-c", QUESTION],
        cwd=PROJECT,
        env={**environment, "DATABASE_URL": url_of_this_test(), "ISPVM_LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "[]"
