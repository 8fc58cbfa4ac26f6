"""Bulk inserts: one JSON document per statement, which the database expands."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import orjson
from django.db import connection, models

ROWS_AT_ONCE = 2_000
T = TypeVar("T")


def parts_of(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """The rows in lists of at most ``size``."""
    rest = iter(rows)
    while part := list(islice(rest, size)):
        yield part


def store_rows(rows: Iterable[models.Model]) -> None:
    """Insert rows of one model with their keys, in a quarter of the time of ``bulk_create``."""
    for part in parts_of(rows, ROWS_AT_ONCE):
        fields: Any = type(part[0])._meta.concrete_fields
        table = type(part[0])._meta.db_table
        document = orjson.dumps([_document(row, fields) for row in part])
        columns = ", ".join(connection.ops.quote_name(field.column) for field in fields)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {connection.ops.quote_name(table)} ({columns}) SELECT {columns}"  # noqa: S608  (names of our own tables)
                f" FROM json_populate_recordset(NULL::{connection.ops.quote_name(table)}, %s::json)",
                [document.decode()],
            )


def _document(row: models.Model, fields: Iterable[Any]) -> dict[str, Any]:
    return {field.column: _plain(field.pre_save(row, add=True)) for field in fields}


def _plain(value: Any) -> Any:
    return f"\\x{value.hex()}" if isinstance(value, bytes) else value
