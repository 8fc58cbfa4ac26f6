"""Which running processes have which master keys: asked before a key is retired that one of them still needs."""

from typing import Any

from apps.events.models import RunningProcess
from apps.events.processes import running_processes
from apps.vault.errors import MasterKeyInvalid, MasterKeyNotEverywhere
from apps.vault.services.master_keys import keyring

#: The name of this fact of a process.
FACT = "master_keys"


def read_key_ids() -> dict[str, Any] | None:
    """Ids of this process's master keys, which tell nothing of the keys; None where it was given none."""
    try:
        ring = keyring()
    except MasterKeyInvalid:
        return None
    return {"seals": ring.current.label, "opens": [key.label for key in ring.previous]}


def require_key_everywhere(label: str) -> None:
    """Raise MasterKeyNotEverywhere, which names them, while running processes do not seal with this master key."""
    lacking = [text for process in running_processes() if (text := _what_lacks(process, label))]
    if lacking:
        raise MasterKeyNotEverywhere(
            message=f"Not every running process seals with master key {label}: {'; '.join(lacking)}. "
            "Nothing was rotated. Give them the key as the first line of their file and restart them, "
            "then run this again. A process that was killed is listed for a minute."
        )


def _what_lacks(process: RunningProcess, label: str) -> str:
    keys = process.facts.get(FACT)
    if keys is None or keys["seals"] == label:
        return ""
    how = "only opens with it" if label in keys["opens"] else "lacks it"
    return f"{process} {how}"
