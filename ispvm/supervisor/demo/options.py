"""Options of `run.py demo`."""

import argparse

from ispvm.supervisor.demo.kills import ALL_KINDS, KINDS

DESCRIPTION = "The whole platform on one machine, watching a simulated ISP."


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 run.py demo", description=DESCRIPTION)
    parser.add_argument("--check", action="store_true", help="play the stories, check them, end")
    parser.add_argument("--stories", help="which ones --check plays, a+c at once (default: a,b)")
    parser.add_argument(
        "--all", action="store_true", help="--check plays every story, some at once"
    )
    parser.add_argument(
        "--kills", type=int, default=0, metavar="N", help="kill -9 so many processes"
    )
    parser.add_argument(
        "--kill-kinds",
        default=",".join(KINDS),
        help=f"of what, separated by commas, or all (default: %(default)s; all: {', '.join(ALL_KINDS)})",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="with --kills: play the stories undisturbed first, then until all have been killed; "
        "every verdict has to be the same",
    )
    parser.add_argument("--seed", type=int, help="of the simulated network (default: 1)")
    parser.add_argument("--port", type=int, help="of the web pages; the next nine are used too")
    parser.add_argument("--reset", action="store_true", help="delete all data of the demo first")
    parser.add_argument("--verbose", action="store_true", help="show all output also with --check")
    options = parser.parse_args(arguments)
    if options.kills and not options.check:
        parser.error("--kills needs --check")
    if options.compare and not options.kills:
        parser.error("--compare needs --kills")
    if options.all and (options.stories or options.kills or not options.check):
        parser.error("--all goes with --check, and without --stories and --kills")
    options.stories = "all" if options.all else options.stories or "a,b"
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
