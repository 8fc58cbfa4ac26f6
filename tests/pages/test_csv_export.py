"""Files of lists: what a spreadsheet makes of them, and a program."""

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.pages.csv_export import UTF8_BOM, csv_export, escape_formula, lines

BEGINS = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001  (the wide forms begin formulas too)


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix(UTF8_BOM), newline="")))


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        " =1",
        "\t=1",
        "\r=1",
        "\n=1",
        "\u00a0=1",
        '=HYPERLINK("http://x")',
        "＝1",  # noqa: RUF001
    ],
)
def test_a_formula_is_escaped(text):
    assert escape_formula(text) == f"'{text}"


@pytest.mark.parametrize("text", ["cr1", "10.0.0.1", "", "a=b", "'=1", "ünï", "مدريد"])
def test_other_texts_stay(text):
    assert escape_formula(text) == text


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (-5, -5),
        (-0.5, -0.5),
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
    ],
)
def test_other_types_are_not_escaped(cell, shown):
    assert escape_formula(cell) == shown


@given(st.lists(st.text().filter(lambda text: "\x00" not in text), min_size=1, max_size=20))
def test_every_text_round_trips_and_no_formula_remains(texts):
    found = read("".join(lines(("text",), [(text,) for text in texts])))[1:]

    back = [row[0] if row else "" for row in found]
    assert back == [escape_formula(text) for text in texts]
    assert not any(text.lstrip()[:1] in set(BEGINS) for text in back)


def test_rows_are_read_while_it_is_sent():
    read_so_far: list[int] = []

    def rows():
        for number in range(3):
            read_so_far.append(number)
            yield (number,)

    answer = csv_export("numbers", ("n",), rows())
    sent = iter(answer.streaming_content)

    assert read_so_far == []
    assert next(sent).decode() == f"{UTF8_BOM}n\r\n"
    assert next(sent) == b"0\r\n"
    assert read_so_far == [0]
    assert answer["Content-Disposition"] == 'attachment; filename="numbers.csv"'
    assert "no-store" in answer["Cache-Control"]
