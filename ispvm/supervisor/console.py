"""Terminal output with a prefix per process, and log files."""

import os
import sys
import threading
from pathlib import Path
from typing import BinaryIO

COLORS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")
PREFIX_WIDTH = 10
LARGEST_LOG = 20 * 1024 * 1024


class Console:
    """Prints lines of several processes with their names. A closed terminal is ignored."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._always: set[str] = set()
        self._is_colored = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._order: dict[str, int] = {}
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        """One line of a process's output; not shown when quiet, unless ``always_show`` was called for it."""
        if not self.quiet or name in self._always:
            self._print(name, text)

    def always_show(self, name: str) -> None:
        self._always.add(name)

    def echo(self, text: str) -> None:
        """Print one line of the launcher."""
        self._print("", text)

    def _print(self, name: str, text: str) -> None:
        with self._lock:
            prefix = ""
            if name:
                color = COLORS[self._order.setdefault(name, len(self._order)) % len(COLORS)]
                prefix = f"{name:<{PREFIX_WIDTH}} | "
                if self._is_colored:
                    prefix = f"\033[{color}m{prefix}\033[0m"
            try:
                print(prefix + text, flush=True)
            except (OSError, ValueError):
                self.quiet = True
                self._always.clear()


class LogFile:
    """The log of one process, rotated at 20 MiB: `<name>.log` and the older `<name>.log.1`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = self._open()

    def _open(self) -> BinaryIO:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "ab", buffering=0)

    def write(self, data: bytes) -> None:
        try:
            if self._file.closed:  # reopening failed on a full volume
                self._file = self._open()
            if os.fstat(self._file.fileno()).st_size > LARGEST_LOG:
                self._file.close()
                self._path.replace(self._path.with_suffix(".log.1"))
                self._file = self._open()
            self._file.write(data)
        except OSError:
            # A full disk must not stop the supervised process.
            return

    def close(self) -> None:
        self._file.close()
