"""Numbers in words: expected texts are written by hand from the definition of SI prefixes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import formatting


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (4.2e-6, "s", "4.20 µs"),
        (999.96e-6, "s", "1.00 ms"),  # rounds up to the next prefix instead of showing 1000 µs
        (1e-5, "s", "10 µs"),
        (75.0, "s", "75 s"),
        (4000.0, "s", "4,000 s"),  # seconds take no kilo
        (2.91e12, "B/s", "2.91 TB/s"),
        (67108864, "B", "67.1 MB"),
        (8.1, "x", "8.10×"),
        (8.1, "ratio", "8.10×"),
        (-0.5, "points", "−0.500 points"),
        (71.43, "% fewer", "71.4 % fewer"),
        (0, "s", "0 s"),
        (12994, "count", "12,994"),
        (math.inf, "s", "∞ s"),
    ],
)
def test_a_quantity_has_three_digits_and_its_prefix(value: float, unit: str, text: str) -> None:
    assert formatting.quantity(value, unit) == text


def test_a_missing_value_is_not_zero_and_says_why() -> None:
    assert formatting.quantity(None, "J", "no energy counter") == "not measured: no energy counter"
    assert formatting.quantity(None, "J") == "not measured"


def test_an_interval_shares_one_prefix() -> None:
    # 0.9 µs and 1.2 µs: the larger end decides, so both are in µs
    assert formatting.interval(0.9e-6, 1.2e-6, "s") == "0.900 to 1.20 µs"
    assert formatting.interval(None, None, "s") == ""
    assert formatting.estimate(8.1, 8.04, 8.16, "x") == "8.10× (8.04 to 8.16×)"
    assert formatting.estimate(3.0, None, None, "count") == "3"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "less than 1 s"), (8, "8 s"), (59.7, "1 min"), (80, "1 min 20 s"), (1500, "25 min"), (7500, "2 h 5 min"), (7200, "2 h")],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1024, "1 Ki"), (2**26, "64 Mi"), (1_500_000, "1.50 M"), (2000, "2,000"), (512, "512"), (0.75, "0.750")]
)
def test_ticks_are_short(value: float, text: str) -> None:
    assert formatting.tick(value) == text


def test_counts_show_powers_of_two() -> None:
    assert formatting.count(2**26) == "67,108,864 (2²⁶)"
    assert formatting.count(12994) == "12,994"


def test_dates_are_in_words_and_other_text_stays() -> None:
    assert formatting.date("2026-11-21T23:30:00-02:00") == "22 November 2026"  # in UTC it is the next day
    assert formatting.time_of_day("2026-11-21T14:05:00Z") == "21 November 2026, 14:05 UTC"
    assert formatting.moment(0) == "1 January 1970, 00:00 UTC"
    assert formatting.date("unknown") == "unknown"


def test_sentences_begin_and_end() -> None:
    assert formatting.sentence("the worker crashed") == "The worker crashed."
    assert formatting.sentence("why?") == "Why?"
    assert formatting.sentence("  ") == ""


@given(st.floats(min_value=1e-11, max_value=1e15))
def test_a_prefixed_value_lies_between_1_and_1000(value: float) -> None:
    factor, unit = formatting.prefix(value, "B")
    assert unit.endswith("B")
    assert 0.9995 <= value / factor < 1000


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e14, max_value=1e14))
def test_a_number_reads_back_within_its_digits(value: float) -> None:
    text = formatting.number(value).replace(",", "").replace("−", "-").replace(" × 10", "e")
    text = text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    assert float(text) == pytest.approx(value, rel=1e-3, abs=0)


@pytest.mark.parametrize(("value", "text"), [(1.95, "+1.95"), (-0.25, "−0.25"), (0.0, "0.00"), (-0.001, "0.00"), (12.0, "+12.00")])
def test_differences_have_a_sign(value: float, text: str) -> None:
    assert formatting.signed(value) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "text"),
    [
        (7.16, 6.1, 8.2, "% lower", "7.16 % lower (6.10 to 8.20 % lower)"),
        (-7.16, -8.2, -6.1, "% lower", "7.16 % higher (6.10 to 8.20 % higher)"),
        (-7.16, -8.2, 1.0, "% lower", "7.16 % higher (8.20 % higher to 1 % lower)"),
        (-1.0, -2.0, 0.0, "% saved", "1 % more used (0 to 2 % more used)"),
        (1.0, 0.0, 2.0, "% saved", "1 % saved (0 to 2 % saved)"),
        (-1.0, -2.0, 0.5, "%", "−1 % (−2 to 0.500 %)"),
    ],
)
def test_a_unit_that_names_a_direction_is_never_negative(value: float, low: float, high: float, unit: str, text: str) -> None:
    assert formatting.estimate(value, low, high, unit) == text
