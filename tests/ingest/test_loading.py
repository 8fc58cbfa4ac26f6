"""Ingest does not import the apps of sign-in."""

import os
import subprocess
import sys

import pytest

from ispvm.supervisor.paths import PROJECT
from tests.database import url_of_this_test

SCRIPT = """
import sys
import ispvm.ingest_wsgi
print([name for name in sys.modules if name.split(".")[0] == "allauth"])
"""


@pytest.mark.django_db(transaction=True)
def test_the_application_imports_no_sign_in():
    """In another process: this one has imported everything."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DJANGO_SETTINGS_MODULE", "ISPVM_CA_KEY_FILE", "DATABASE_OWNER_URL"}
    }

    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=PROJECT,
        env={**environment, "DATABASE_URL": url_of_this_test(), "ISPVM_LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.strip() == "[]"
