import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import DomainError
from apps.lab.bench import BENCHES
from apps.lab.bench.figures import BenchOptions, WrongResult, machine

FEWEST_ROUNDS = 1


class Command(BaseCommand):
    help = "Run a benchmark on this machine, in a separate database."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=sorted(BENCHES), help="the benchmark")
        parser.add_argument("--seed", type=int, default=1, help="random seed of the measured work")
        parser.add_argument(
            "--rounds", type=int, default=5, help="number of measurements of each figure"
        )
        parser.add_argument(
            "--json", action="store_true", help="print one JSON document on standard output"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name, seed, rounds = options["name"], options["seed"], options["rounds"]
        if rounds < FEWEST_ROUNDS:
            raise CommandError("At least one round.")
        echo = self.stderr.write if options["json"] else self.stdout.write
        on = machine()
        echo(f"{name}: seed {seed}, {rounds} rounds, {on['cores']} cores, {on['memory_gib']} GiB")
        try:
            figures = BENCHES[name](BenchOptions(seed, rounds, echo))
        except (WrongResult, DomainError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            shown = [figure.as_dict() for figure in figures]
            document = {"name": name, "seed": seed, "rounds": rounds, "machine": on}
            self.stdout.write(json.dumps({**document, "figures": shown}))
            return
        for figure in figures:
            self.stdout.write(str(figure))
