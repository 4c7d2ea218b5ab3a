"""Addresses that nobody would write by hand, by the hundred: one clear line, never an exception, and nothing that they name is touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from lab.parameters import ParameterError, Plan, fields
from lab.store import Store
from lab.ui import choice as choices
from lab.ui.choice import Choice
from lab.ui.text import plain
from tests.demo_workloads.demo.spec import WORKLOAD
from tests.pages.conftest import DEADLINE_S
from tests.pages.test_pages import button

KNOWN = fields(WORKLOAD.parameters)
MAX_LINE = 2000  # characters: the names of all parameters, and a value cut short

hostile = st.sampled_from(
    [
        "",
        "\x00",
        "\x1b[31mred",
        "\u202egnihton",
        "a\nb\r\nc",
        "𝕬" * 5,
        "٣",
        "NaN",
        "1e400",
        "-0",
        "9" * 5000,
        "x" * 50_000,
        "1," * 300,
        "[" * 2000,
        '{"$gt": ""}',
        "../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "' OR 1=1 --",
        "<script>alert(1)</script>",
        "$\\frac{1}{0}$ :red[x] [a](http://b)",
        "{{7*7}}",
        "file:///etc/passwd",
        "20260131-174502-a7k2m9",
        "recorded/activations/h200",
        "recorded/activations/../../../../etc",
        "recorded/../recorded/activations/h200",
        "recorded//h200",
        "recorded/activations/h200/../h200-learning",
        "recorded/" + "a/" * 500,
        "imported/",
        "imported/../../runs.sqlite",
        "imported/0123456789ab",
        "imported/0123456789AB",
        "imported/\x00",
        "/absolute",
        "run=run=run",
    ]
)
texts = hostile | st.text(max_size=60) | st.text(st.characters(), max_size=400) | st.integers().map(str) | st.floats().map(str)
names = st.sampled_from(["run", "preset", "device", "find", "tab", *KNOWN]) | texts
queries = st.dictionaries(names, st.lists(texts, min_size=1, max_size=3), max_size=6)


few = settings(phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])


def opened(app: Path, page: str, query: Mapping[str, str | list[str]]) -> AppTest:
    """A page opened in a new browser session with a query whose names may be anything."""
    test = AppTest.from_file(str(app), default_timeout=DEADLINE_S).switch_page(f"pages/{page}.py")
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


def check_line(line: str) -> None:
    """One line, not too long, in which nothing moves or hides other text."""
    assert line
    assert len(line) <= MAX_LINE
    assert line.isprintable(), repr(line)


@settings(max_examples=400)
@given(queries)
@example({"run": ["../../runs.sqlite"]})
@example({"run": ["a"], "n": ["4"]})
@example({"n": [",".join(map(str, range(1, 200)))]})
def test_any_query_gives_a_choice_and_at_most_one_line(query: dict[str, list[str]]) -> None:
    found, problem = choices.read(WORKLOAD, query, "cpu")
    assert isinstance(found, Choice)
    assert set(found.texts) == set(KNOWN)
    if problem is None:
        assert found.run or Plan.parse(WORKLOAD.parameters, found.texts).cells  # whatever is accepted can be run
    else:
        assert isinstance(problem, ParameterError)
        check_line(str(problem))
        assert found.run == ""


@settings(few, max_examples=30)
@given(query=queries)
@example({"run": ["../../home/runs.sqlite"]})
@example({"run": ["recorded/activations/../../../../etc"]})
@example({"run": ["recorded/smoothing/nothing"]})
@example({"run": ["imported/../../runs.sqlite"]})
@example({"run": ["20260131-174502-a7k2m9"]})
@example({"run": ["x" * 50_000]})
def test_a_page_opened_with_any_query_shows_at_most_one_line(app: Path, store: Store, tmp_path: Path, query: dict[str, list[str]]) -> None:
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    page = opened(app, "demo", query)
    assert not page.exception
    assert len(page.error) <= 1
    found, problem = choices.read(WORKLOAD, query, "cpu")
    assert page.error or not found.run  # there is no run in this store
    if problem is not None:
        assert page.error[0].value == plain(str(problem))
    if page.error:
        check_line(page.error[0].value)
        assert button(page, "Run").disabled
    assert store.runs() == []
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["claims", "runs", "compare", "device", "glossary"])
@settings(few, max_examples=4)
@given(
    query=st.dictionaries(st.sampled_from(["run", "runs", "find", "tab", "claim", "status", "page", "order"]) | texts, texts, max_size=4)
)
def test_every_other_page_takes_any_query(app: Path, name: str, query: dict[str, str]) -> None:
    page = opened(app, name, query)
    assert not page.exception
    for found in page.error:
        check_line(found.value)
