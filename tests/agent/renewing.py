"""Renews certificates in forked children, each of which dies by SIGKILL at a given file system call. Run as a module:
one JSON line asks {state, at, step}, one answers {killed}. It knows the agent and nothing of the server."""

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.state import StateDir
from agent.transport.certificate import Renewal
from agent.transport.server import Lane

CALLS = ("open", "fchmod", "fsync", "replace", "close")


def die_at(step: int) -> None:
    """Before the first call is step 0, after it step 1, before the second step 2, and so on."""
    passed = 0

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal passed
            if passed == step:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = real(*args, **more)
            if passed + 1 == step:
                os.kill(os.getpid(), signal.SIGKILL)
            passed += 2
            return answer

        return call

    for name in CALLS:
        setattr(os, name, watched(getattr(os, name)))


def renew(state: StateDir, at: datetime, step: int) -> None:
    lane = Lane(state, "")
    write = state.write

    def dying(name: str, content: bytes) -> None:
        die_at(step)
        write(name, content)

    state.write = dying
    Renewal(state, lane, random.Random(1)).renew_if_due(at)


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                renew(
                    StateDir(Path(asked["state"])),
                    datetime.fromisoformat(asked["at"]),
                    asked["step"],
                )
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        failed = os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0
        answer = {"killed": os.WIFSIGNALED(status), "failed": failed}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
