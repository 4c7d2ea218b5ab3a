"""A comparison as CSV."""

from __future__ import annotations

from lab import comparison_csv
from lab.comparison import compare
from lab.csv_format import parse_number, parse_text, read_table
from tests.lab.compared_runs import around, exact, run, times


def rows(*, second: list, **manifest: object) -> list[dict[str, str]]:
    first = times({("new", "x"): around(1.0), ("old", "x"): around(2.0)}, clusters=3)
    found = compare([run("=a", first), run("b", second, **manifest)])
    header, cells = read_table(comparison_csv.encode(found))
    assert header == list(comparison_csv.COLUMNS)
    return [dict(zip(header, row, strict=True)) for row in cells]


def test_every_measurement_of_both_sides_has_a_row() -> None:
    found = rows(second=times({("new", "x"): around(1.0), ("other", "y"): around(2.0)}, clusters=3))
    assert [(row["arm"], row["kind"], row["word"]) for row in found] == [
        ("new", "raw", "not decided"),
        ("old", "", "only in the first"),
        ("new", "", "only in the first"),
        ("other", "", "only in the second"),
    ]
    assert parse_number(found[1]["first_value"]) is not None
    assert found[1]["second_value"] == ""
    assert found[0]["first_cell"] == found[0]["second_cell"] == "clusters=3 dtype=float32 device=cpu"


def test_numbers_are_exact_and_a_refusal_has_no_change() -> None:
    found = rows(second=times({("new", "x"): around(1.0), ("old", "x"): around(2.0)}, clusters=3), threads=9)
    ratio = next(row for row in found if row["kind"] == "ratio")
    assert parse_number(ratio["first_value"]) == 2.0
    assert (ratio["change"], ratio["scale"], ratio["word"]) == ("", "", "refused")
    assert "threads" in ratio["reason"]


def test_what_a_spreadsheet_would_execute_is_escaped() -> None:
    found = rows(second=exact("parameters", 1.0))
    assert found[0]["first"] == "'=a"
    assert parse_text(found[0]["first"]) == "=a"


def test_repeated_runs_are_named_together() -> None:
    values = times({("new", "x"): around(1.0)})
    found = compare([*(run(f"a{i}", values) for i in range(3)), run("b", values, {"k": 64})])
    header, cells = read_table(comparison_csv.encode(found))
    assert {row[header.index("first")] for row in cells} == {"a0 a1 a2"}
    assert [row[header.index("first_n")] for row in cells] == ["3"]
