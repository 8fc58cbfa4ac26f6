"""Renews certificates in forked children, each of which is killed by SIGKILL at a given file system call.

Run as a module: one JSON line per request {state, at, step}, one per response {killed, failed}. Imports nothing of the
server.
"""

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
from agent.transport.ingest_client import IngestClient

CALLS = ("open", "fchmod", "fsync", "replace", "close")


def kill_at(step: int) -> None:
    """Before the first call is step 0, after it step 1, before the second step 2, and so on."""
    count = 0

    def killing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal count
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **options)
            if count + 1 == step:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 2
            return result

        return call

    for name in CALLS:
        setattr(os, name, killing(getattr(os, name)))


def renew(state: StateDir, at: datetime, step: int) -> None:
    client = IngestClient(state, "")
    write = state.write

    def killing_write(name: str, content: bytes) -> None:
        kill_at(step)
        write(name, content)

    state.write = killing_write
    Renewal(state, client, random.Random(1)).renew_if_due(at)


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                renew(
                    StateDir(Path(request["state"])),
                    datetime.fromisoformat(request["at"]),
                    request["step"],
                )
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        failed = os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0
        response = {"killed": os.WIFSIGNALED(status), "failed": failed}
        sys.stdout.write(json.dumps(response) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
