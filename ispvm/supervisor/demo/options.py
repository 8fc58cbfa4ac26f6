"""Options of `run.py demo`."""

import argparse

from ispvm.supervisor.demo.kills import ALL_KINDS, KINDS

DESCRIPTION = "Run the whole platform on one machine, monitoring a simulated ISP."


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 run.py demo", description=DESCRIPTION)
    parser.add_argument(
        "--check", action="store_true", help="run scenarios, check the results, exit"
    )
    parser.add_argument(
        "--scenarios",
        help="scenarios that --check runs, by letter; a+c runs both at once (default: a,b)",
    )
    parser.add_argument(
        "--all", action="store_true", help="--check runs every scenario, some at once"
    )
    parser.add_argument(
        "--kills",
        type=int,
        default=0,
        metavar="N",
        help="kill -9 this many processes during --check",
    )
    parser.add_argument(
        "--kill-kinds",
        default=",".join(KINDS),
        help="kinds of processes to kill, separated by commas, or all "
        f"(default: %(default)s; all: {', '.join(ALL_KINDS)})",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="with --kills: run the scenarios undisturbed first, then again until all kills are done; "
        "every verdict must be the same",
    )
    parser.add_argument("--seed", type=int, help="seed of the simulated network (default: 1)")
    parser.add_argument(
        "--port", type=int, help="port of the web pages; the next nine are used too"
    )
    parser.add_argument("--reset", action="store_true", help="delete all data of the demo first")
    parser.add_argument("--verbose", action="store_true", help="show all output also with --check")
    options = parser.parse_args(arguments)
    if options.kills and not options.check:
        parser.error("--kills needs --check")
    if options.compare and not options.kills:
        parser.error("--compare needs --kills")
    if options.all and (options.scenarios or options.kills or not options.check):
        parser.error("--all needs --check, and excludes --scenarios and --kills")
    options.scenarios = "all" if options.all else options.scenarios or "a,b"
    options.kill_kinds = chosen_kinds(options.kill_kinds)
    if not options.kill_kinds:
        parser.error(f"--kill-kinds takes all, or some of {', '.join(ALL_KINDS)}")
    return options


def chosen_kinds(text: str) -> tuple[str, ...]:
    """The kinds of ``--kill-kinds``; none when one of them is unknown."""
    if text == "all":
        return ALL_KINDS
    kinds = tuple(dict.fromkeys(word for word in text.split(",") if word))
    return kinds if set(kinds) <= set(ALL_KINDS) else ()
