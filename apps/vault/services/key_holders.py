"""Which running processes have which master keys: checked before a key is retired."""

from typing import Any

from apps.events.models import RunningProcess
from apps.events.processes import running_processes
from apps.vault.errors import MasterKeyInvalid, MasterKeyNotEverywhere
from apps.vault.services.master_keys import keyring

#: The key in ``RunningProcess.facts``.
MASTER_KEYS_FACT = "master_keys"


def read_key_ids() -> dict[str, Any] | None:
    """Ids of this process's master keys, which do not reveal the keys; None when it has none."""
    try:
        master_keys = keyring()
    except MasterKeyInvalid:
        return None
    return {
        "seals": master_keys.current.label,
        "opens": [key.label for key in master_keys.previous],
    }


def require_key_on_all_processes(label: str) -> None:
    """Raise MasterKeyNotEverywhere, which names them, while running processes do not seal with this master key."""
    missing = [
        text for process in running_processes() if (text := _describe_missing_key(process, label))
    ]
    if missing:
        raise MasterKeyNotEverywhere(
            message=f"Not every running process seals with master key {label}: {'; '.join(missing)}. "
            "Nothing was rotated. Give them the key as the first line of their file and restart them, "
            "then run this again. A killed process stays listed for one minute."
        )


def _describe_missing_key(process: RunningProcess, label: str) -> str:
    keys = process.facts.get(MASTER_KEYS_FACT)
    if keys is None or keys["seals"] == label:
        return ""
    problem = "only opens with it" if label in keys["opens"] else "lacks it"
    return f"{process} {problem}"
