"""Every test of accounts counts its own attempts to sign in."""

from uuid import uuid4

import pytest

from apps.accounts import attempts
from apps.accounts.oidc import calls


@pytest.fixture(autouse=True)
def _fresh_counts(monkeypatch):
    monkeypatch.setattr(attempts, "COUNTER", f"test-{uuid4()}")
    monkeypatch.setattr(calls, "BREAKER", f"test-{uuid4()}")
