"""Cells and tables: exact numbers, nothing a spreadsheet executes, and everything reads back."""

from __future__ import annotations

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.csv_format import (
    CsvError,
    number_cell,
    number_columns,
    parse_number,
    parse_scalars,
    parse_text,
    read_table,
    scalar_cell,
    table,
    text_cell,
)

# What a spreadsheet acts on: the first sign after what it skips (white space, control characters).
SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
TEXT = st.text(st.characters(codec="utf-8"))


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("before", ["", " ", "   ", "\xa0", "\x00", "\ufeff", "'"])
def test_what_a_spreadsheet_would_execute_gets_an_apostrophe(sign: str, before: str) -> None:
    hostile = f'{before}{sign}HYPERLINK("http://x")'
    assert text_cell(hostile) == f"'{hostile}"


@pytest.mark.parametrize("text", ["", "fused", "a=b", "1-2", "'quoted'", "3.5", "-3.5", "-1e-05", "naïve 日本 🙂", "−71 %"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert text_cell(text) == text


@given(TEXT)
def test_text_reads_back(text: str) -> None:
    assert parse_text(text_cell(text)) == text


@given(st.text(st.sampled_from("'=+-@ \t\r\n0a")))
def test_hostile_text_reads_back_and_is_guarded(text: str) -> None:
    cell = text_cell(text)
    assert parse_text(cell) == text
    first = cell.lstrip(" ")[:1]
    try:
        float(cell)
    except ValueError:
        assert first not in SIGNS


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back_bit_for_bit(value: float) -> None:
    found = parse_number(number_cell(value))
    assert found == value
    assert found is not None
    assert math.copysign(1, found) == math.copysign(1, value)


@given(st.integers())
def test_whole_numbers_stay_whole(value: int) -> None:
    found = parse_number(number_cell(value))
    assert isinstance(found, int)
    assert found == value


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_missing_is_empty(value: float | None) -> None:
    assert number_cell(value) == ""
    assert parse_number("") is None


@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "1_000", "0x1", "=1", " 1", "１", "one", "1e999", "--1"])
def test_what_is_no_number_is_refused(cell: str) -> None:
    with pytest.raises(CsvError, match="not a finite number"):
        parse_number(cell)


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ([1024, -3, None], ["1024", "-3", ""]),
        ([0.1, 2.0, -1e-9], ["0.1", "2.0", "-1e-09"]),
        ([1, 2.5], ["1", "2.5"]),
        ([True, False, None], ["true", "false", ""]),
        (["cold", "warm"], ["cold", "warm"]),
        (["1", "1.0"], ["1", "1.0"]),
        (["=1", "-x", "007"], ["'=1", "'-x", "007"]),
    ],
)
def test_a_column_keeps_its_type(values: list, cells: list[str]) -> None:
    assert [scalar_cell(value) for value in values] == cells
    found = parse_scalars(cells)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@given(st.lists(st.lists(TEXT, min_size=2, max_size=2)))
def test_a_table_reads_back(rows: list[list[str]]) -> None:
    data = table(["a", "b"], rows)
    assert read_table(data) == (["a", "b"], rows)
    assert list(csv.reader(io.StringIO(data.decode(), newline="")))[1:] == rows  # and as any reader sees it


def test_lines_end_in_a_newline_and_the_encoding_is_utf_8() -> None:
    assert table(["a", "b"], [["é", 'x,"y"']]) == 'a,b\né,"x,""y"""\n'.encode()


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert table(["a"], [["x\ud800"]]) == b"a\nx?\n"


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"", "no header"), (b"a,b\n1\n", "row 2 has 1 cells, the header 2"), (b"\xff", "not UTF-8"), (b'a\n"x\n', "not UTF-8 CSV")],
)
def test_a_broken_table_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(CsvError, match=problem):
        read_table(data)


def test_columns_of_a_readers_table_are_found_by_name() -> None:
    data = b"\xef\xbb\xbfStep, Loss ,note\r\n0,2.5,a\r\n1,1e-3,\r\n"
    assert number_columns(data, ("loss", "step")) == {"loss": (2.5, 0.001), "step": (0.0, 1.0)}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "has no header"),
        (b"epoch,loss\n0,1\n", "has no column 'step'; its columns are epoch, loss"),
        (b"step,Step,loss\n0,1,2\n", "has several columns 'step'; its columns are step, Step, loss"),
        (b"step,loss\n0,1\n", "has 1 rows; allowed: 2 to 3"),
        (b"step,loss\n" + b"0,1\n" * 4, "has 4 rows; allowed: 2 to 3"),
        (b"step,loss\n0,1\n1,nan\n", "row 3, column 'loss': 'nan' is not a finite number"),
        (b"step,loss\n0,1\n1,1e999\n", "row 3, column 'loss': '1e999' is not"),
        (b"step,loss\n0,1_000\n1,1\n", "row 2, column 'loss': '1_000' is not"),
        (b"step,loss\n0,1\n1,\n", "row 3, column 'loss': '' is not"),
        (b"step,loss\n0,1\n1\n", "row 3 has 1 cells, the header 2"),
        (b"\xff\xfe\x00", "is not UTF-8 CSV"),
        (b'step,loss\n0,"1', "is not UTF-8 CSV"),
    ],
)
def test_what_is_wrong_with_a_readers_table_is_told_by_row_and_column(data: bytes, words: str) -> None:
    with pytest.raises(CsvError) as caught:
        number_columns(data, ("step", "loss"), min_rows=2, max_rows=3)
    assert words in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_columns_or_an_error(data: bytes) -> None:
    try:
        found = number_columns(b"step\n" + data, ("step",))
    except CsvError:
        return
    assert all(math.isfinite(value) for value in found["step"])
