"""A list as a file of comma-separated values: sent as it is made, harmless in a spreadsheet."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.http import StreamingHttpResponse

#: Spreadsheets take the file for UTF-8 by this.
MARK = "\ufeff"
#: What a spreadsheet takes for the beginning of a formula, also behind blanks.
_BEGINS_FORMULA = frozenset("=+-@＝＋－＠")  # noqa: RUF001  (the wide forms begin formulas too)
_CONTROL = frozenset("\t\r\n")

Cell = str | int | float | bool | datetime | None


class _Line:
    """Takes what the writer writes and hands it back."""

    def write(self, text: str) -> str:
        return text


def sheet(
    name: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]
) -> StreamingHttpResponse:
    """The download of a list. ``rows`` are read while it is sent."""
    answer = StreamingHttpResponse(lines(columns, rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    answer["Cache-Control"] = "private, no-store"
    return answer


def lines(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """The file, line by line (RFC 4180)."""
    writer: Any = csv.writer(_Line())
    yield MARK + writer.writerow(columns)
    for row in rows:
        yield writer.writerow([harmless(cell) for cell in row])


def harmless(cell: Cell) -> Cell:
    """A text that a spreadsheet would run begins with an apostrophe; numbers stay numbers, moments are ISO 8601."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat()
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, str) and (cell[:1] in _CONTROL or cell.lstrip()[:1] in _BEGINS_FORMULA):
        return f"'{cell}"
    return cell
