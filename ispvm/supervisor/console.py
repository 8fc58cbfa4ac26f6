"""What the operator sees and what is kept: prefixed lines on the terminal, whole lines in log files."""

import os
import sys
import threading
from pathlib import Path
from typing import BinaryIO

COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")
PREFIX_WIDTH = 10
LARGEST_LOG = 20 * 1024 * 1024


class Console:
    """Prints lines of several processes, each behind its name. Never fails: a closed terminal is silence."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._always: set[str] = set()
        self._colourful = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._order: dict[str, int] = {}
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        """One line of a process's output; left out when quiet, unless that one is always shown."""
        if not self.quiet or name in self._always:
            self._print(name, text)

    def always_show(self, name: str) -> None:
        self._always.add(name)

    def say(self, text: str) -> None:
        """One line of the launcher's own."""
        self._print("", text)

    def _print(self, name: str, text: str) -> None:
        with self._lock:
            prefix = ""
            if name:
                colour = COLOURS[self._order.setdefault(name, len(self._order)) % len(COLOURS)]
                prefix = f"{name:<{PREFIX_WIDTH}} | "
                if self._colourful:
                    prefix = f"\033[{colour}m{prefix}\033[0m"
            try:
                print(prefix + text, flush=True)
            except (OSError, ValueError):
                self.quiet = True
                self._always.clear()


class LogFile:
    """A log of one process, cut in two at 20 MiB: `<name>.log` and the older `<name>.log.1`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = self._open()

    def _open(self) -> BinaryIO:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "ab", buffering=0)

    def write(self, data: bytes) -> None:
        try:
            if self._file.closed:  # the volume was full when it was to be opened anew
                self._file = self._open()
            if self._file.tell() > LARGEST_LOG:
                self._file.close()
                self._path.replace(self._path.with_suffix(".log.1"))
                self._file = self._open()
            self._file.write(data)
        except OSError:
            # A full disk must not stop the process whose output this is.
            return

    def close(self) -> None:
        self._file.close()
