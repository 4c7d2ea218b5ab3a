"""What the page of runs shows as a plain value, and the URL query that says the same."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.listing import ORDERS
from lab.ui.run_query import FIRST_DAY, KEPT, LAST_DAY, MAX_PAGE, MAX_SEARCH, STATUSES, TABS, Wanted, read

WORKLOADS = ("activations", "fft_mixing")
DAYS = st.none() | st.dates(FIRST_DAY, LAST_DAY)
TEXTS = st.text(st.characters(exclude_categories=("C", "Z")), max_size=MAX_SEARCH)


def several(*names: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), unique=True).map(tuple)


@given(
    st.builds(
        Wanted,
        tab=st.sampled_from(TABS),
        text=TEXTS,
        workload=several(*WORKLOADS),
        status=several(*STATUSES),
        preset=several("published", "quick", "thorough", "custom"),
        device=TEXTS,
        since=DAYS,
        until=DAYS,
        kept=st.sampled_from(["", *KEPT]),
        order=st.sampled_from(sorted(ORDERS)),
        page=st.integers(1, MAX_PAGE),
    )
)
def test_a_query_brings_back_the_same_page(wanted: Wanted) -> None:
    found, problem = read({name: [text] for name, text in wanted.query.items()}, WORKLOADS)
    assert problem is None
    assert found == wanted


def test_defaults_are_not_written() -> None:
    assert Wanted().query == {}
    assert Wanted(status=("failed", "cancelled"), page=2).query == {"status": "failed,cancelled", "page": "2"}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"colour": ["red"]}, "colour: 'red' is no filter of runs; allowed: the names tab, text, workload"),
        ({"page": ["1", "2"]}, "page: '1, 2' is given several times"),
        ({"page": ["0"]}, "page: '0' is not allowed; allowed: a whole number from 1 to 100,000"),
        ({"page": ["٣"]}, "page: '٣'"),
        ({"page": ["9" * 5000]}, "page: '999"),
        ({"workload": ["activations,theory"]}, "workload: 'theory' is not allowed; allowed: one of activations, fft_mixing"),
        ({"kept": ["maybe"]}, "kept: 'maybe' is not allowed; allowed: one of yes, no"),
        ({"since": ["yesterday"]}, "since: 'yesterday' is not allowed; allowed: a day from 2020-01-01 to 2099-12-31"),
        ({"until": ["9999-12-31"]}, "until: '9999-12-31' is not allowed"),
        ({"text": ["x" * 101]}, "allowed: at most 100 characters"),
        ({"device": ["a\x00b"]}, "device: 'a�b' is not allowed"),
    ],
)
def test_a_bad_query_names_the_field_and_keeps_the_rest(query: dict[str, list[str]], words: str) -> None:
    found, problem = read({**query, "order": ["oldest"]}, WORKLOADS)
    assert words in str(problem)
    assert found == Wanted(order="oldest")


@given(st.dictionaries(st.sampled_from(["page", "since", "text", "status", "tab", "x"]), st.lists(st.text(), min_size=1, max_size=2)))
def test_any_query_is_answered(query: dict[str, list[str]]) -> None:
    found, _ = read(query, WORKLOADS)
    found.filter.where()


def test_days_are_utc_and_the_last_one_is_whole() -> None:
    # 2026-01-31 began 1 769 817 600 s after 1970; a day has 86 400 s.
    day = datetime.date(2026, 1, 31)
    found = Wanted(since=day, until=day).filter
    assert (found.since, found.until) == (1_769_817_600.0, 1_769_817_600.0 + 86_400)


def test_days_in_the_wrong_order_are_told() -> None:
    wanted = Wanted(since=datetime.date(2026, 2, 1), until=datetime.date(2026, 1, 31))
    assert wanted.problem == "since: '2026-02-01' comes after the last day; allowed: a day up to 2026-01-31, the last one wanted"
    assert Wanted(since=datetime.date(2026, 2, 1)).problem == ""
