"""The state of a page as a plain value, and the URL query that says the same."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.parameters import fields
from lab.ui import choice as choices
from tests.demo_workloads.demo.spec import WORKLOAD

KNOWN = fields(WORKLOAD.parameters)


def lists(query: dict[str, str]) -> dict[str, list[str]]:
    return {name: [text] for name, text in query.items()}


def test_no_query_is_the_quick_preset() -> None:
    found, problem = choices.read(WORKLOAD, {}, "cpu")
    assert problem is None
    assert found.preset(WORKLOAD, "cpu") == "quick"
    assert found.device == "auto"


@given(
    n=st.lists(st.integers(1, int(KNOWN["n"].maximum or 1)), min_size=1, max_size=8, unique=True),
    interval_s=st.floats(0, 10),
    seed=st.integers(0, 2**31 - 1),
    device=st.sampled_from(choices.DEVICES),
)
def test_a_permalink_brings_back_the_same_choice(n: list[int], interval_s: float, seed: int, device: str) -> None:
    choice, _ = choices.read(WORKLOAD, {}, "cpu")
    for name, text in (("n", ",".join(map(str, n))), ("interval_s", KNOWN["interval_s"].text(interval_s)), ("seed", str(seed))):
        choice = choice.edited(name, text)
    choice = choices.Choice(device, choice.texts)
    query = choice.settings_query(WORKLOAD, "cpu")
    assert set(query) == {"preset", "device", *KNOWN}  # every value, defaults too
    again, problem = choices.read(WORKLOAD, lists(query), "cpu")
    assert problem is None
    assert again == choice


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"n": ["0"]}, ["n", "'0'", "from 1 to"]),
        ({"n": ["x"]}, ["n", "'x'", "whole number"]),
        ({"interval_s": ["nan"]}, ["interval_s", "from 0 to 10"]),
        ({"interval_s": ["inf"]}, ["interval_s", "from 0 to 10"]),
        ({"seed": ["1", "2"]}, ["seed", "several times"]),
        ({"seed": ["1,2"]}, ["seed", "cannot be swept"]),
        ({"colour": ["red"]}, ["colour", "belongs to no parameter"]),
        ({"ending": ["<script>"]}, ["ending", "one of finish"]),
        ({"preset": ["best"]}, ["preset", "published, quick, thorough"]),
        ({"device": ["tpu"]}, ["device", "auto, cpu, cuda"]),
        ({"run": ["abc"], "n": ["4"]}, ["run", "alone"]),
        ({"n": ["1," * 300 + "1"]}, ["n"]),
    ],
)
def test_a_bad_query_is_one_line_that_names_the_field(query: dict[str, list[str]], words: list[str]) -> None:
    found, problem = choices.read(WORKLOAD, query, "cpu")
    assert problem is not None
    assert "\n" not in str(problem)
    assert all(word in str(problem) for word in words)
    found.plan(WORKLOAD)  # what is shown instead can be run


def test_what_is_right_in_a_bad_query_is_kept() -> None:
    found, problem = choices.read(WORKLOAD, {"n": ["0"], "repeats": ["7"], "ending": ["crash"]}, "cpu")
    assert problem is not None
    assert (found.texts["n"], found.texts["repeats"], found.texts["ending"]) == ("1024", "7", "crash")


@given(
    st.dictionaries(
        st.text(max_size=8) | st.sampled_from([*KNOWN, "preset", "device"]), st.lists(st.text(max_size=12), min_size=1, max_size=3)
    )
)
def test_no_query_at_all_makes_the_page_fail(query: dict[str, list[str]]) -> None:
    found, _ = choices.read(WORKLOAD, query, "cpu")
    assert found.device in choices.DEVICES
    assert set(found.texts) == set(KNOWN)


def test_a_run_alone_is_its_query_and_an_edit_drops_it() -> None:
    found, problem = choices.read(WORKLOAD, {"run": ["20260101-000000-abcdef"]}, "cpu")
    assert problem is None
    assert found.query(WORKLOAD, "cpu") == {"run": "20260101-000000-abcdef"}
    assert "run" not in found.edited("seed", "1").query(WORKLOAD, "cpu")


def test_edited_values_are_no_preset_any_more() -> None:
    quick = choices.from_preset(WORKLOAD, "quick", "cpu")
    assert quick.edited("seed", "5").preset(WORKLOAD, "cpu") == "custom"
    assert quick.edited("seed", "5").edited("seed", "0").preset(WORKLOAD, "cpu") == "quick"


@pytest.mark.parametrize(
    ("low", "high", "points"),
    [
        (1024, 1024, [1024]),
        (1024, 4096, [1024, 4096]),
        (1024, 8192, [1024, 4096, 8192]),
        (1, 16, [1, 4, 16]),
        (0, 0, [0]),
        (0, 64, [0, 64]),
    ],
)
def test_a_slider_sweeps_in_steps_of_four_up_to_both_ends(low: int, high: int, points: list[int]) -> None:
    assert choices.sweep_points(low, high) == points


def test_powers_of_two_keep_to_the_bounds() -> None:
    within = dataclasses.replace(KNOWN["n"], minimum=3, maximum=40)
    assert choices.powers_of_two(within) == [4, 8, 16, 32]
    assert choices.powers_of_two(dataclasses.replace(within, minimum=4, maximum=32)) == [4, 8, 16, 32]
    assert choices.powers_of_two(dataclasses.replace(within, minimum=0, maximum=9)) == [0, 1, 2, 4, 8]
