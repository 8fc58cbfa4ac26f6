"""Background thread of ingest that renews the listener's certificate and trust bundle."""

import threading
import time
from pathlib import Path

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from apps.agents.services import refresh_listener_certificate
from apps.authorization.actors import Actor
from apps.core import clock
from apps.core.errors import DomainError

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 5.0
ACTOR = Actor.system("ingest")


def start_listener_certificate_refresh() -> None:
    """Start the refresh thread, if a TLS folder is configured."""
    if settings.ISPVM_INGEST_TLS_FOLDER:
        folder = Path(settings.ISPVM_INGEST_TLS_FOLDER)
        threading.Thread(target=_refresh_loop, args=(folder,), name="listener", daemon=True).start()


def _refresh_loop(folder: Path) -> None:
    while True:
        time.sleep(INTERVAL_SECONDS)
        try:
            if refresh_listener_certificate(folder=folder, actor=ACTOR, at=clock.now()):
                log.info("listener_certificate_changed")
        except (DomainError, DatabaseError, OSError, ValueError) as error:
            log.warning("listener_certificate_refresh_failed", error=type(error).__name__)
        finally:
            connection.close()
