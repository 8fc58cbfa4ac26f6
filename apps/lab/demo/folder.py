"""The demo's folder: files shared by its processes."""

import json
import os
from pathlib import Path
from typing import Any


class Folder:
    """Files of the demo, written atomically, readable by their owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan: dict[str, Any] = self.read_json("demo.json")

    def read_json(self, name: str) -> Any:
        return json.loads((self.path / name).read_text(encoding="utf-8"))

    def read_text(self, name: str) -> str:
        """Its content without the line's end; empty when it is not there."""
        try:
            return (self.path / name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def write_json(self, name: str, content: object) -> None:
        self.write_text(name, json.dumps(content, indent=2))

    def write_text(self, name: str, text: str) -> None:
        draft = self.path / f".{name}.new"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path / name)
