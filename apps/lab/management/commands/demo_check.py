from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.lab.demo.check import DemoRunner, run_check
from apps.lab.demo.folder import Folder
from apps.lab.demo.rest import Rest, RestError
from apps.lab.demo.stories import STORIES, parse_groups
from apps.lab.demo.users import rest_of

# The web process and the database are killed too: both are back within this time.
PATIENCE_SECONDS = 30.0


class Command(BaseCommand):
    help = "Run scenarios on the demo's network and check what the platform reports."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seed", type=int, required=True, help="random seed of the failures")
        parser.add_argument(
            "--scenarios",
            default="a,b",
            help=f"of {', '.join(STORIES)}, or all; a+b runs both at once",
        )
        parser.add_argument(
            "--control", required=True, help="URL of the simulator's control interface"
        )
        parser.add_argument("--out", type=Path, required=True, help="data folder of the demo")
        parser.add_argument(
            "--disturbed",
            action="store_true",
            help="processes are killed meanwhile: no time limits",
        )

        parser.add_argument(
            "--compare",
            action="store_true",
            help="run undisturbed first, then until all kills are done, and compare the verdicts",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stories = parse_groups(options["scenarios"])
        unknown = sorted({key for group in stories for key in group} - STORIES.keys())
        if unknown:
            raise CommandError(f"Unknown scenario: {', '.join(unknown)}.")
        folder = Folder(options["out"])
        try:
            runner = DemoRunner(
                folder=folder,
                control=Rest(options["control"]),
                rest=rest_of(
                    folder,
                    folder.read_text("api.token"),
                    patience_seconds=PATIENCE_SECONDS if options["disturbed"] else 0,
                ),
                seed=options["seed"],
                is_disturbed=options["disturbed"],
                echo=self._echo,
            )
            passed = run_check(runner, stories, compare=options["compare"])
        except RestError as error:
            raise CommandError(str(error)) from error
        if not passed:
            raise CommandError("Not every scenario passed.")

    def _echo(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
