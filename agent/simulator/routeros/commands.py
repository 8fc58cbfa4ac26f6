"""From a sentence to its answer: finds the menu, filters its rows. Pure; sessions do the talking."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from agent.simulator.menus import MONITORS, Menu, menus_of
from agent.simulator.menus.view import NoSuchItem, Row, View
from agent.simulator.routeros import queries
from agent.simulator.routeros.queries import QueryInvalid

Sentence = list[str]

PRINTS = frozenset({"print", "getall"})
PRINT_PARAMETERS = frozenset(
    {".proplist", "count-only", "detail", "stats", "terse", "brief", "without-paging", "value-list"}
)
MONITOR_PARAMETERS = frozenset({"numbers", ".id", "once", ".proplist"})
# The monitor user may look, not touch: group policy `api,read`.
WRITES = frozenset(
    {"add", "set", "remove", "enable", "disable", "move", "unset", "comment", "reset-counters"}
)
INTERRUPTED = 2


class Trap(Exception):
    """The router refuses: one or more `!trap` sentences, then `!done`."""

    def __init__(self, *messages: str, category: int | None = None) -> None:
        super().__init__(*messages)
        self.messages = messages
        self.category = category

    def sentences(self) -> Iterator[Sentence]:
        category = [] if self.category is None else [f"=category={self.category}"]
        for message in self.messages:
            yield ["!trap", *category, f"=message={message}"]


@dataclass(frozen=True)
class Command:
    """One sentence from a client, taken apart."""

    path: str
    attributes: dict[str, str] = field(default_factory=dict)
    queries: tuple[str, ...] = ()
    tag: str | None = None

    @property
    def menu(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def verb(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_stream(self) -> bool:
        """Whether it goes on until it is cancelled."""
        return self.verb == "monitor" and self.menu in MONITORS and "once" not in self.attributes


def parse(sentence: Sequence[str]) -> Command:
    """The order of attributes means nothing, that of queries everything."""
    attributes: dict[str, str] = {}
    conditions: list[str] = []
    tag = None
    for word in sentence[1:]:
        if word.startswith("?"):
            conditions.append(word[1:])
        elif word.startswith(".tag="):
            tag = word.removeprefix(".tag=")
        elif word.startswith("="):
            name, _, value = word[1:].partition("=")  # `=once` counts as `=once=`
            attributes[name] = value
    path = "/" + sentence[0].strip("/").replace(" ", "/")
    return Command(path, attributes, tuple(conditions), tag)


def answer(view: View, command: Command) -> Iterator[Sentence]:
    """All sentences of the answer but the streams' later ones, made while they are asked for.

    Raises Trap, sometimes only after the first rows.
    """
    if command.verb == "monitor" and command.menu in MONITORS:
        return monitor(view, command)
    menus = menus_of(view)
    if command.menu not in menus:
        raise missing(view, command.path)
    if command.verb in PRINTS:
        return print_menu(view, menus[command.menu], command)
    if command.verb in WRITES:
        raise Trap("not enough permissions (9)")
    raise missing(view, command.path)


def missing(view: View, path: str) -> Trap:
    """v7 says it twice: first the word it stumbled over, then that nothing begins like this. v6 says the latter."""
    menus = menus_of(view)
    words = path.strip("/").split("/")
    so_far = ""
    for word in words[:-1] or words:
        so_far += f"/{word}"
        if not any(f"{menu}/".startswith(f"{so_far}/") for menu in menus):
            first = () if view.release.is_v6 else (f"no such command or directory ({word})",)
            return Trap(*first, "no such command prefix")
    return Trap("no such command")


def print_menu(view: View, menu: Menu, command: Command) -> Iterator[Sentence]:
    refuse_unknown(command, PRINT_PARAMETERS)
    if "count-only" in command.attributes:
        counted = menu.count(view) if menu.count and not command.queries else None
        if counted is None:
            counted = sum(1 for _ in selected(menu.rows(view), command))
        return iter([["!done", f"=ret={counted}"]])
    says_empty = not view.release.is_v6
    return listing(selected(menu.rows(view), command), command, says_empty=says_empty)


def selected(rows: Iterable[Row], command: Command) -> Iterator[Row]:
    """Raises Trap for a query that makes no sense."""
    try:
        for row in rows:
            if queries.matches(row, command.queries):
                yield row
    except QueryInvalid as invalid:
        raise Trap(f"invalid query: {invalid}", category=5) from None


def listing(rows: Iterable[Row], command: Command, *, says_empty: bool) -> Iterator[Sentence]:
    """Since 7.18 an empty list says so: `!empty` stands before `!done`."""
    wanted = proplist(command)
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007  # the count outlives the loop
        yield reply(row, wanted)
    yield from ([["!empty"], ["!done"]] if says_empty and not count else [["!done"]])


def reply(row: Row, wanted: frozenset[str] | None) -> Sentence:
    return ["!re", *(f"={k}={v}" for k, v in row.items() if wanted is None or k in wanted)]


def proplist(command: Command) -> frozenset[str] | None:
    names = command.attributes.get(".proplist")
    return frozenset(filter(None, names.split(","))) if names else None


def monitor(view: View, command: Command) -> Iterator[Sentence]:
    """One round over the ports asked for; a stream repeats it with a growing `.section`."""
    refuse_unknown(command, MONITOR_PARAMETERS)
    wanted = proplist(command)
    names = command.attributes.get("numbers") or command.attributes.get(".id") or ""
    try:
        rows = list(MONITORS[command.menu](view, [name for name in names.split(",") if name]))
    except NoSuchItem:
        raise Trap("no such item") from None
    replies = (reply(row, wanted) for row in rows)
    return replies if command.is_stream else chain(replies, [["!done"]])


def refuse_unknown(command: Command, known: frozenset[str]) -> None:
    unknown = sorted(set(command.attributes) - known)
    if unknown:
        raise Trap(f"unknown parameter {unknown[0]}", category=1)
