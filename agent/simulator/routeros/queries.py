"""Query words of print and getall: a stack machine that selects rows."""

import re
from collections.abc import Callable, Mapping, Sequence

Row = Mapping[str, str]

OPERATION = re.compile(r"(\d*)(.?)", re.DOTALL)
WHOLE_NUMBER = re.compile(r"-?\d{1,30}")


MAX_QUERIES = 64
MAX_OPERATIONS = 128  # they run once for every row


class QueryInvalid(ValueError):
    """The words are not a valid query."""


def matches(row: Row, queries: Sequence[str]) -> bool:
    """Whether the row matches: all values left on the stack must be true. Raises QueryInvalid."""
    if len(queries) > MAX_QUERIES:
        raise QueryInvalid("too many query words")
    stack: list[bool] = []
    for query in queries:
        if query.startswith("#"):
            operate(stack, query[1:])
        else:
            stack.append(holds(row, query))
    return all(stack)


def holds(row: Row, query: str) -> bool:
    """One condition: `name`, `-name`, `name=x`, `=name=x`, `<name=x`, `>name=x`."""
    if query.startswith("-"):
        return query[1:] not in row
    sign = query[0] if query[:1] in {"=", "<", ">"} else ""
    name, equals, wanted = query.removeprefix(sign).partition("=")
    if not name or (sign and not equals):
        raise QueryInvalid("a condition needs a property name")
    if name not in row:  # also for < and >: a missing key never matches
        return False
    return not equals or COMPARE[sign](row[name], wanted)


def is_less(one: str, other: str) -> bool:
    """Compares numbers by value, anything else as text."""
    if WHOLE_NUMBER.fullmatch(one) and WHOLE_NUMBER.fullmatch(other):
        return int(one) < int(other)
    return one < other


COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "": lambda value, wanted: value == wanted,
    "=": lambda value, wanted: value == wanted,
    "<": is_less,
    ">": lambda value, wanted: is_less(wanted, value),
}


def operate(stack: list[bool], operations: str) -> None:
    """`!` `&` `|` `.` and indexes (0 is the top), from left to right. Raises QueryInvalid."""
    if len(operations) > MAX_OPERATIONS:
        raise QueryInvalid("too many operations")
    try:
        for index, sign in OPERATION.findall(operations):
            if index:
                value = stack[-1 - int(index[:6])]
                if not sign:  # an index at the very end replaces the whole stack
                    stack[:] = [value]
                    return
                stack.append(value)
            if sign and not (index and sign == "."):
                apply(stack, sign)
    except IndexError:
        raise QueryInvalid("the query's stack is too short") from None


def apply(stack: list[bool], sign: str) -> None:
    """One operation on the top of the stack. Raises IndexError, QueryInvalid."""
    match sign:
        case "!":
            stack[-1] = not stack[-1]
        case "&":
            top = stack.pop()
            stack[-1] = stack[-1] and top
        case "|":
            top = stack.pop()
            stack[-1] = stack[-1] or top
        case ".":
            stack.append(stack[-1])
        case _:
            raise QueryInvalid("an operation that does not exist")
