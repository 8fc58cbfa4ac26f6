"""Each test of accounts has its own attempt counters and a fixed time."""

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
import time_machine as clocks

from apps.accounts import attempts
from apps.accounts.oidc import calls


@pytest.fixture(autouse=True)
def _fresh_counts(monkeypatch):
    monkeypatch.setattr(attempts, "KEY_PREFIX", f"test-{uuid4()}")
    monkeypatch.setattr(calls, "BREAKER", f"test-{uuid4()}")


@pytest.fixture(autouse=True)
def _fixed_time() -> Iterator[None]:
    """On a slow machine a test must not span two time steps of a code or two windows of a limit."""
    with clocks.travel(time.time(), tick=False):
        yield
