"""Sessions stored under a digest of their key: reading the database does not give access to a session."""

from hashlib import sha256
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.utils import timezone

KEY_LENGTH = 40  # of Django's column; 160 bits


def row_key(session: SessionBase) -> str | None:
    """The primary key of the session's row (the digest); None before it is saved."""
    return _digest(session.session_key) if session.session_key else None


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()[:KEY_LENGTH]


class SessionStore(DatabaseStore):
    """Django's database store, with the digest as the row's key."""

    def _get_session_from_db(self) -> Session | None:
        rows = Session.objects.filter(session_key=row_key(self), expire_date__gt=timezone.now())
        row = rows.first()
        if row is None:
            self._session_key = None
        return row

    def exists(self, session_key: str) -> bool:
        return super().exists(_digest(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row = super().create_model_instance(data)
        row.session_key = _digest(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            super().delete(_digest(key))
