"""Every test of accounts counts its own attempts to sign in."""

from uuid import uuid4

import pytest

from apps.accounts import attempts


@pytest.fixture(autouse=True)
def _fresh_counts(monkeypatch):
    monkeypatch.setattr(attempts, "COUNTER", f"test-{uuid4()}")
