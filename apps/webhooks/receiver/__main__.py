"""Run a receiver: ``python -m apps.webhooks.receiver --listen 127.0.0.1:9080 --secret-file F --log F``."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from apps.webhooks.receiver.journal import Journal
from apps.webhooks.receiver.server import Receiver


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="receiver", description=__doc__)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument(
        "--secret-file", required=True, type=Path, help="known secrets, one a line; read each time"
    )
    parser.add_argument("--log", required=True, type=Path, help="JSON lines, appended")
    parser.add_argument("--control", type=Path, help="file holding up, down, hang or a status")
    parser.add_argument("--mode", default="up", help="used while the control file is empty")
    parser.add_argument("--tolerance", type=float, default=300.0, metavar="SECONDS")
    parser.add_argument("--color", choices=["auto", "always", "never"], default="auto")
    options = parser.parse_args(arguments)
    host, _, port = options.listen.rpartition(":")
    color = options.color == "always" or (options.color == "auto" and sys.stdout.isatty())
    journal = Journal(options.log, sys.stdout, color=color)
    receiver = Receiver(
        (host, int(port)),
        secret_file=options.secret_file,
        journal=journal,
        control_file=options.control,
        mode=options.mode,
        tolerance=options.tolerance,
    )
    # shutdown() blocks until serve_forever returns, which runs in this thread: call it from another.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=receiver.shutdown).start())
    journal.print(f"Receiving webhooks on http://{host}:{receiver.server_address[1]}/")
    try:
        receiver.serve_forever(poll_interval=0.1)
    finally:
        receiver.server_close()
        journal.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
