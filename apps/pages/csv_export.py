"""CSV export of a list: streamed, with formulas escaped."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.http import StreamingHttpResponse

#: Spreadsheets detect UTF-8 by it.
UTF8_BOM = "\ufeff"
#: A spreadsheet evaluates a cell that begins with one of these, also after spaces.
_BEGINS_FORMULA = frozenset("=+-@＝＋－＠")  # noqa: RUF001  (the wide forms begin formulas too)
_CONTROL = frozenset("\t\r\n")

Cell = str | int | float | bool | datetime | None


class _Line:
    """File object for ``csv.writer`` that returns the line instead of storing it."""

    def write(self, text: str) -> str:
        return text


def csv_export(
    name: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]
) -> StreamingHttpResponse:
    """A CSV download. ``rows`` is consumed while the response is streamed."""
    answer = StreamingHttpResponse(lines(columns, rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    answer["Cache-Control"] = "private, no-store"
    return answer


def lines(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """The lines of the file (RFC 4180)."""
    writer: Any = csv.writer(_Line())
    yield UTF8_BOM + writer.writerow(columns)
    for row in rows:
        yield writer.writerow([escape_formula(cell) for cell in row])


def escape_formula(cell: Cell) -> Cell:
    """The value of a cell: formulas get a leading apostrophe, numbers stay numbers, times are ISO 8601."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat()
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, str) and (cell[:1] in _CONTROL or cell.lstrip()[:1] in _BEGINS_FORMULA):
        return f"'{cell}"
    return cell
