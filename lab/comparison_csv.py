"""A comparison of runs as CSV: one row for each measurement of each pair of sides, what only one side has included.

``COLUMNS`` says what each column holds. Cells are written as in every file of the lab (``lab.csv_format``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lab.comparison import ComparedRun, Comparison, Pairing, Row
from lab.csv_format import number_cell, scalar_cell, table, text_cell
from lab.matching import Quantity

ONLY_FIRST, ONLY_SECOND = "only in the first", "only in the second"

COLUMNS: Mapping[str, str] = {
    "first": "references of the runs of the first side, separated by spaces; several are runs of equal settings",
    "second": "references of the runs of the second side",
    "kind": "ratio (technique against baseline within each run), raw, control, learned, count or listed",
    "protocol": "published or sound",
    "arm": "technique or baseline measured",
    "implementation": "its implementation",
    "baseline_arm": "what it is compared with within its run, empty for a measurement of one arm",
    "baseline_implementation": "implementation of that",
    "metric": "the metric",
    "statistic": "mean, ratio, difference or exact",
    "unit": "unit of the values; x for a ratio",
    "first_cell": "dimensions, swept parameters, dtype and device of the first side's measurement, as name=value",
    "second_cell": "the same of the second side's",
    "first_value": "the first side's value; of several runs their mean",
    "first_low": "lower end of its 95 % interval",
    "first_high": "upper end",
    "first_n": "observations behind it; of several runs how many runs; empty where not told",
    "second_value": "the second side's value",
    "second_low": "lower end of its 95 % interval",
    "second_high": "upper end",
    "second_n": "observations behind it",
    "scale": "ratio: change is second / first; difference: second - first; empty: no change is given",
    "change": "how much the second side's value differs",
    "low": "lower end of the 95 % interval of the change, of this row alone",
    "high": "upper end",
    "word": "what is concluded, judged for all rows of the two sides at once; empty where nothing is judged",
    "reason": "why",
}


def encode(comparison: Comparison) -> bytes:
    """The rows of every pairing as CSV in UTF-8, with a header."""
    return table(tuple(COLUMNS), (row for pairing in comparison.pairings for row in _rows(comparison.runs, pairing)))


def _rows(runs: Sequence[ComparedRun], pairing: Pairing) -> Iterator[list[str]]:
    sides = {
        "first": text_cell(" ".join(runs[place].reference for place in pairing.first)),
        "second": text_cell(" ".join(runs[place].reference for place in pairing.second)),
    }
    for row in pairing.rows:
        yield _cells({**sides, **_of_row(row)})
    for word, found, side in ((ONLY_FIRST, pairing.only_first, "first"), (ONLY_SECOND, pairing.only_second, "second")):
        for q in found:
            yield _cells({**sides, **_of_quantity(q), **_value(side, q, q.estimate.mean, q.low, q.high, q.n), "word": word})


def _cells(found: Mapping[str, str]) -> list[str]:
    return [found.get(name, "") for name in COLUMNS]


def _of_row(row: Row) -> dict[str, str]:
    first, second = row.values
    return {
        **_of_quantity(row.first),
        "kind": row.kind,
        **_value("first", row.first, first.mean, first.low, first.high, first.n),
        **_value("second", row.second, second.mean, second.low, second.high, second.n),
        "scale": row.scale,
        "change": number_cell(row.change),
        "low": number_cell(row.low),
        "high": number_cell(row.high),
        "word": row.word,
        "reason": text_cell(row.reason),
    }


def _of_quantity(q: Quantity) -> dict[str, str]:
    e = q.estimate
    names = ("protocol", "arm", "implementation", "baseline_arm", "baseline_implementation", "metric", "statistic", "unit")
    return {name: text_cell(getattr(e, name)) for name in names}


def _value(side: str, q: Quantity, mean: float | None, low: float | None, high: float | None, n: int) -> dict[str, str]:
    e = q.estimate
    places = {**e.dimensions, **{f"p_{name}": value for name, value in e.swept.items()}, "dtype": e.dtype, "device": e.device}
    return {
        f"{side}_cell": text_cell(" ".join(f"{name}={scalar_cell(value)}" for name, value in places.items() if value != "")),
        f"{side}_value": number_cell(mean),
        f"{side}_low": number_cell(low),
        f"{side}_high": number_cell(high),
        f"{side}_n": number_cell(n) if n else "",
    }
