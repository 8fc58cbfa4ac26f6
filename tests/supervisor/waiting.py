"""Polling with a deadline, and looking at processes from outside."""

import time
from collections.abc import Callable
from pathlib import Path


def eventually(question: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Return once the answer is truthy; fail when it was not in time."""
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, f"{question} was not true within {seconds} s"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether the process exists and is not just waiting to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
