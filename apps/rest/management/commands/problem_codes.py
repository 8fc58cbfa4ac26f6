"""Write docs/problems.md."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.rest.problem_codes import render_page


class Command(BaseCommand):
    help = "Write docs/problems.md: all problem codes of the REST API."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", default="docs/problems.md")

    def handle(self, *_: Any, **options: Any) -> None:
        Path(options["file"]).write_text(render_page(), encoding="utf-8")
