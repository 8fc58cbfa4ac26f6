"""A folder that other accounts may enter: pytest's own is closed again by each of its sessions."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def public_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ispvm-deploy-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
