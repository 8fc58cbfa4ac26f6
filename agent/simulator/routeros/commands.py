"""From a sentence to its reply: finds the menu, filters its rows. Pure, without I/O."""

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
# The monitor user may only read: group policy `api,read`.
WRITES = frozenset(
    {"add", "set", "remove", "enable", "disable", "move", "unset", "comment", "reset-counters"}
)
INTERRUPTED = 2


class Trap(Exception):
    """The router refuses a command: one or more `!trap` sentences, then `!done`."""

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
    """One parsed sentence of a client."""

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
        """Whether it continues until it is cancelled."""
        return self.verb == "monitor" and self.menu in MONITORS and "once" not in self.attributes


def parse(sentence: Sequence[str]) -> Command:
    """The order of queries matters, that of attributes does not."""
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


def reply_to(view: View, command: Command) -> Iterator[Sentence]:
    """The sentences of the reply, created on demand; of a stream only the first round.

    Raises Trap, sometimes only after the first rows.
    """
    if command.verb == "monitor" and command.menu in MONITORS:
        return monitor(view, command)
    menus = menus_of(view)
    if command.menu not in menus:
        raise unknown_command_trap(view, command.path)
    if command.verb in PRINTS:
        return print_menu(view, menus[command.menu], command)
    if command.verb in WRITES:
        raise Trap("not enough permissions (9)")
    raise unknown_command_trap(view, command.path)


def unknown_command_trap(view: View, path: str) -> Trap:
    """v7 sends two messages: the unknown word, then that the prefix is unknown. v6 sends the second only."""
    menus = menus_of(view)
    words = path.strip("/").split("/")
    prefix = ""
    for word in words[:-1] or words:
        prefix += f"/{word}"
        if not any(f"{menu}/".startswith(f"{prefix}/") for menu in menus):
            first = () if view.release.is_v6 else (f"no such command or directory ({word})",)
            return Trap(*first, "no such command prefix")
    return Trap("no such command")


def print_menu(view: View, menu: Menu, command: Command) -> Iterator[Sentence]:
    refuse_unknown(command, PRINT_PARAMETERS)
    if "count-only" in command.attributes:
        count = menu.count(view) if menu.count and not command.queries else None
        if count is None:
            count = sum(1 for _ in matching_rows(menu.rows(view), command))
        return iter([["!done", f"=ret={count}"]])
    sends_empty = not view.release.is_v6
    return list_sentences(matching_rows(menu.rows(view), command), command, sends_empty=sends_empty)


def matching_rows(rows: Iterable[Row], command: Command) -> Iterator[Row]:
    """Raises Trap for an invalid query."""
    try:
        for row in rows:
            if queries.matches(row, command.queries):
                yield row
    except QueryInvalid as invalid:
        raise Trap(f"invalid query: {invalid}", category=5) from None


def list_sentences(
    rows: Iterable[Row], command: Command, *, sends_empty: bool
) -> Iterator[Sentence]:
    """Since 7.18 an empty list has `!empty` before `!done`."""
    wanted = proplist(command)
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007  # the count outlives the loop
        yield row_sentence(row, wanted)
    yield from ([["!empty"], ["!done"]] if sends_empty and not count else [["!done"]])


def row_sentence(row: Row, wanted: frozenset[str] | None) -> Sentence:
    return ["!re", *(f"={k}={v}" for k, v in row.items() if wanted is None or k in wanted)]


def proplist(command: Command) -> frozenset[str] | None:
    names = command.attributes.get(".proplist")
    return frozenset(filter(None, names.split(","))) if names else None


def monitor(view: View, command: Command) -> Iterator[Sentence]:
    """One round over the requested ports; a stream repeats it with a growing `.section`."""
    refuse_unknown(command, MONITOR_PARAMETERS)
    wanted = proplist(command)
    names = command.attributes.get("numbers") or command.attributes.get(".id") or ""
    try:
        rows = list(MONITORS[command.menu](view, [name for name in names.split(",") if name]))
    except NoSuchItem:
        raise Trap("no such item") from None
    replies = (row_sentence(row, wanted) for row in rows)
    return replies if command.is_stream else chain(replies, [["!done"]])


def refuse_unknown(command: Command, known: frozenset[str]) -> None:
    unknown = sorted(set(command.attributes) - known)
    if unknown:
        raise Trap(f"unknown parameter {unknown[0]}", category=1)
