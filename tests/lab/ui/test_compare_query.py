"""The address of a comparison."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.comparison import MAX_RUNS
from lab.ui import compare_query


def test_references_come_in_order() -> None:
    assert compare_query.read({"runs": ["b, recorded/x/y ,a"]}) == (["b", "recorded/x/y", "a"], [])


@pytest.mark.parametrize(
    ("query", "found", "words"),
    [
        ({"runs": ["a,a,b"]}, ["a", "b"], "runs: 'a' is given twice"),
        ({"runs": ["a", "b"]}, ["a"], "is given several times"),
        ({"runs": ["a," + "x" * 200]}, ["a"], "is no name of a run"),
        ({"runs": ["a,\x1b[31m"]}, ["a"], "is no name of a run"),
        ({"runs": ["1,2,3,4,5,6,7,8"]}, ["1", "2", "3", "4", "5", "6"], "runs: '7' is one run too many; allowed: at most 6 runs"),
        ({"run": ["a"]}, [], "run: 'a' belongs to no comparison"),
    ],
)
def test_what_is_wrong_is_one_line_and_the_rest_is_kept(query: dict, found: list[str], words: str) -> None:
    references, problems = compare_query.read(query)
    assert references == found
    assert len(problems) == 1
    assert words in problems[0]
    assert "\n" not in problems[0]


@pytest.mark.parametrize("query", [{}, {"runs": [""]}, {"runs": [" , ,"]}, {"runs": []}])
def test_no_run_is_no_problem(query: dict) -> None:
    assert compare_query.read(query) == ([], [])


@given(st.dictionaries(st.text(max_size=8), st.lists(st.text(max_size=60), max_size=3), max_size=3))
def test_any_query_is_read(query: dict[str, list[str]]) -> None:
    references, problems = compare_query.read(query)
    assert len(references) == len(set(references)) <= MAX_RUNS
    assert all(problem.isprintable() for problem in problems)


@given(st.lists(st.text("abc/-0123456789", min_size=1, max_size=20), max_size=MAX_RUNS, unique=True))
def test_what_is_written_is_read_back(references: list[str]) -> None:
    query = {name: [value] for name, value in compare_query.write(references).items()}
    assert compare_query.read(query) == (references, [])
