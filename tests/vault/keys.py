"""Master key files, and credential sets of two tenants."""

from pathlib import Path
from typing import Any

from apps.authorization.actors import Actor
from apps.core import clock
from apps.vault import services
from apps.vault.choices import Purpose
from apps.vault.kinds import KIND_SPECS
from apps.vault.models import CredentialSet

ACTOR = Actor.system("test")


def key_file(folder: Path, name: str, text: str, mode: int = 0o400) -> str:
    path = folder / name
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def use_master(settings: Any, current: str, previous: str = "") -> None:
    """Point the settings of this process at these files."""
    settings.ISPVM_MASTER_KEY_FILE = current
    settings.ISPVM_MASTER_KEY_PREVIOUS_FILE = previous


def store(secret: str, name: str = "routers") -> CredentialSet:
    return services.store_credential_set(
        name=name, username="mon", secret=secret, actor=ACTOR, at=clock.now()
    )


def open_main_secret(row: CredentialSet) -> str:
    lease = services.take_lease(
        purpose=Purpose.AGENT_CONFIG,
        holder=("agent", "test"),
        terms="test",
        actor=ACTOR,
        at=clock.now(),
    )
    secrets = services.open_credential_set(credential_set=row, lease=lease)
    return secrets.get(KIND_SPECS[row.kind].main_secret, "")
