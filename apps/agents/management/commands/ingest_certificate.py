from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from apps.agents.services import write_listener_certificate
from apps.authorization.actors import Actor
from apps.core import clock


class Command(BaseCommand):
    """Writes the ingest listener's TLS files. Run it before each start; valid files are not replaced."""

    help = "Write ca.pem, server.pem and server-key.pem for the ingest listener."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--out", type=Path, required=True, help="folder for the files")
        parser.add_argument(
            "--host",
            action="append",
            required=True,
            dest="hosts",
            help="a host name or address of the listener that agents use; may be repeated",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        files = write_listener_certificate(
            folder=options["out"],
            hosts=options["hosts"],
            actor=Actor.system("ingest_certificate"),
            at=clock.now(),
        )
        verb = "Wrote" if files.written else "Unchanged:"
        self.stdout.write(f"{verb} {files.certificate} (until {files.not_after:%Y-%m-%d}).")
