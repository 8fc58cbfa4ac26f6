"""Rule packs that ship with the platform, as JSON."""

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def shipped_packs() -> list[str]:
    """Names of the shipped packs."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def load_pack(name: str) -> list[dict[str, Any]]:
    """The rule documents of a shipped pack. KeyError for an unknown one."""
    if name not in shipped_packs():
        raise KeyError(name)
    rules: list[dict[str, Any]] = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return rules
