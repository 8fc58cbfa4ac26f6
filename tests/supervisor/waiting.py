"""Polling with a deadline, and looking at processes from outside."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

#: After this a test that waits is taken to hang. No aim: a busy machine may need any part of it.
HANG_SECONDS = 300.0


def eventually(
    question: Callable[[], object], *, seconds: float = HANG_SECONDS, pause: float = 0.05
) -> None:
    """Return once the answer is truthy; fail when it was not in time."""
    for _ in attempts(str(question), seconds=seconds, pause=pause):
        if question():
            return


def attempts(what: str, *, seconds: float = HANG_SECONDS, pause: float = 0.02) -> Iterator[None]:
    """Go round until the caller leaves the loop; fail when it did not in time."""
    deadline = time.monotonic() + seconds
    while True:
        yield
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(pause)


def is_running(pid: int) -> bool:
    """Whether the process exists and is not just waiting to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
