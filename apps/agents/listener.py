"""While ingest runs, one of its processes sees to it that the listener's certificate follows the authorities."""

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

EVERY_SECONDS = 5.0
ACTOR = Actor.system("ingest")


def keep_listener_certificate() -> None:
    """Start the look-out of this process, if there is a folder to look after."""
    if settings.ISPVM_INGEST_TLS_FOLDER:
        folder = Path(settings.ISPVM_INGEST_TLS_FOLDER)
        threading.Thread(target=_keep, args=(folder,), name="listener", daemon=True).start()


def _keep(folder: Path) -> None:
    while True:
        time.sleep(EVERY_SECONDS)
        try:
            if refresh_listener_certificate(folder=folder, actor=ACTOR, at=clock.now()):
                log.info("listener_certificate_changed")
        except (DomainError, DatabaseError, OSError, ValueError) as error:
            log.warning("listener_certificate_kept", error=type(error).__name__)
        finally:
            connection.close()
