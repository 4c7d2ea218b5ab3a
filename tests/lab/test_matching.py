"""Which measurement of one run is the same as which of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.matching import Matched, match, quantities, text
from lab.records import Record
from tests.lab.compared_runs import GPU, around, exact, run, seeds, times

NEW = {("new", "x"): around(1.0)}
BOTH = NEW | {("old", "x"): around(2.0)}


def matched(first: tuple, second: tuple) -> Matched:
    runs = [run(name, *arguments) if isinstance(arguments, tuple) else arguments for name, arguments in (("a", first), ("b", second))]
    found = [quantities(one.view, one.estimates) for one in runs]
    return match(runs[0].view, found[0], runs[1].view, found[1])


def cells(found: Matched) -> list[tuple[Any, Any]]:
    return [(pair.first.estimate.mean, pair.second.estimate.mean) for pair in found.matches]


def test_the_same_measurements_match_in_the_first_ones_order() -> None:
    found = matched((times(BOTH),), (times(dict(reversed(BOTH.items()))),))
    assert [(pair.first.estimate.arm, pair.second.estimate.arm) for pair in found.matches] == [
        ("new", "new"),
        ("old", "old"),
        ("new", "new"),
    ]
    assert found.only_first == found.only_second == ()
    assert all(pair.exactly for pair in found.matches)


@pytest.mark.parametrize("different", ["arm", "implementation", "metric", "dimension", "protocol"])
def test_anything_else_is_another_measurement(different: str) -> None:
    other = {
        "arm": times({("newer", "x"): around(1.0)}),
        "implementation": times({("new", "y"): around(1.0)}),
        "metric": times(NEW, metric="energy_j", unit="J"),
        "dimension": times(NEW, clusters=3),
        "protocol": [
            (0, Record("published", "new", "technique", "x", "cpu", "float32", "latency_s", v, "s", i)) for i, v in enumerate(around(1.0))
        ],
    }[different]
    found = matched((times(NEW),), (other,))
    assert (len(found.matches), len(found.only_first), len(found.only_second)) == (0, 1, 1)


def sweep(*sizes: int) -> tuple[list, Mapping[str, Any]]:
    """A sweep of n in which a time says its n."""
    return [item for cell, n in enumerate(sizes) for item in times({("new", "x"): around(n / 1000)}, cell=cell)], {"n": list(sizes)}


def test_a_sweep_matches_a_fixed_value_where_values_agree() -> None:
    found = matched(sweep(1024, 2048, 4096), (times({("new", "x"): around(2.048)}), {"n": 2048}))
    assert cells(found) == [(pytest.approx(2.048, rel=1e-3), pytest.approx(2.048, rel=1e-3))]
    assert len(found.only_first) == 2


def test_sweeps_match_where_they_overlap() -> None:
    found = matched(sweep(1024, 2048), sweep(2048, 4096))
    assert cells(found) == [(pytest.approx(2.048, rel=1e-3), pytest.approx(2.048, rel=1e-3))]


def test_a_value_beside_a_sweep_without_it_matches_nothing() -> None:
    assert matched(sweep(1024, 2048), (times(NEW), {"n": 4096})).matches == ()


def test_a_parameter_different_as_a_whole_is_what_is_compared() -> None:
    found = matched((times(NEW), {"k": 32}), (times(NEW), {"k": 64}))
    assert len(found.matches) == 1
    assert found.compared == ("k",)


def test_a_dimension_that_repeats_it_stands_for_it() -> None:
    # The technique has clusters, the baseline none (0).
    first = times(NEW, clusters=32) + times({("old", "x"): around(2.0)}, clusters=0)
    second = times(NEW, clusters=64) + times({("old", "x"): around(2.0)}, clusters=0)
    found = matched((first, {"k": 32}), (second, {"k": 64}))
    assert [(pair.first.estimate.arm, pair.exactly) for pair in found.matches] == [("new", False), ("old", True)]


def test_a_dimension_with_both_values_does_not_stand_for_it() -> None:
    # Experts are numbered, whatever k is: expert 1 of one run is expert 1 of the other, not 2.
    def experts(shift: float) -> list:
        return [item for expert in (1, 2, 3) for item in times({("new", "x"): around(expert + shift)}, clusters=expert)]

    found = matched((experts(0.0), {"k": 1}), (experts(0.25), {"k": 2}))
    assert cells(found) == [(pytest.approx(e, rel=1e-3), pytest.approx(e + 0.25, rel=1e-3)) for e in (1, 2, 3)]


def test_what_agrees_as_it_is_matches_first() -> None:
    # A table fixed at 32 clusters stands in both runs, beside what was measured at the k asked for.
    def of(k: int) -> tuple[list, Mapping[str, Any]]:
        return times({("table", "x"): around(3.0)}, clusters=32) + times(NEW, clusters=k), {"k": k}

    found = matched(of(32), of(64))
    assert [(pair.first.estimate.arm, pair.exactly) for pair in found.matches] == [("table", True), ("new", False)]


def test_without_a_parameter_that_differs_no_dimension_stands_for_anything() -> None:
    assert matched((times(NEW, clusters=32),), (times(NEW, clusters=64),)).matches == ()


def test_data_match_by_name() -> None:
    found = matched((seeds("new", [1.0] * 5, data="digits (SHA-256 aaaa…)"),), (seeds("new", [1.0] * 5, data="digits (SHA-256 bbbb…)"),))
    assert len(found.matches) == 1
    assert matched((seeds("new", [1.0] * 5, data="digits"),), (seeds("new", [1.0] * 5, data="text"),)).matches == ()


def whole_run(value: float) -> list:
    record = Record("published", "new", "technique", "count", "", "", "parameters", value, "1", whole_run=True)
    return [(-1, record)]


def test_what_belongs_to_the_whole_run_matches_though_one_of_them_sweeps() -> None:
    swept, parameters = sweep(1024, 2048)
    found = matched(([*whole_run(7.0), *swept], parameters), ([*whole_run(8.0), *times(NEW)], {"n": 1024}))
    assert (7.0, 8.0) in cells(found)
    assert len(found.matches) == 2


def test_cpu_and_gpu_match_on_the_device_of_each_run() -> None:
    first = times(NEW) + times({("new", "fused"): around(3.0)})
    second = times(NEW, device="cuda:0") + times({("new", "numpy"): around(3.0)}, device="cpu")
    found = matched((first,), run("b", second, **GPU))
    assert [(pair.first.kind, pair.second.kind) for pair in found.matches] == [("cpu", "cuda")]


def test_the_same_kind_of_device_comes_first() -> None:
    second = times({("new", "x"): around(5.0)}, device="cuda:0") + times(NEW, device="cpu")
    found = matched((times(NEW),), run("b", second, **GPU))
    assert [(pair.first.kind, pair.second.kind) for pair in found.matches] == [("cpu", "cpu")]


def test_measurements_that_cannot_be_told_apart_match_nothing() -> None:
    # Swept over k in both, one value each way: after k is left out, the two cells of the first run would both fit.
    first = times(NEW, cell=0) + times(NEW, cell=1)
    found = matched((first, {"k": [32, 64]}), (times(NEW), {"k": 128}))
    assert (len(found.matches), len(found.only_first)) == (0, 2)


def test_ends_of_an_interval_join_their_value() -> None:
    recorded = exact("gain", 3.0, "points") + exact("gain_low", 2.0, "points") + exact("gain_high", 5.0, "points")
    one = run("a", recorded)
    found = quantities(one.view, one.estimates)
    assert [(q.estimate.metric, q.low, q.high, q.n) for q in found] == [("gain", 2.0, 5.0, 0)]


def test_ends_without_their_value_stay() -> None:
    one = run("a", exact("gain_low", 2.0, "points"))
    assert [q.estimate.metric for q in quantities(one.view, one.estimates)] == ["gain_low"]


def test_baselines_are_arms_that_are_nothing_else() -> None:
    one = run("a", times(BOTH))
    assert [(q.estimate.arm, q.baseline) for q in quantities(one.view, one.estimates) if not q.is_pair] == [("new", False), ("old", True)]


@pytest.mark.parametrize(("value", "expected"), [(1, "1"), (1.0, "1"), ("1", "1"), (True, "true"), (0.1, "0.1"), (1e20, "1e+20")])
def test_a_value_has_one_text_however_it_was_read(value: Any, expected: str) -> None:
    assert text(value) == expected


@given(
    st.lists(st.sampled_from([1, 2, 4, 8, 16]), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from([1, 2, 4, 8, 16]), min_size=1, max_size=4, unique=True),
)
def test_matching_loses_nothing_and_is_the_same_both_ways(ours: list[int], theirs: list[int]) -> None:
    there, back = matched(sweep(*ours), sweep(*theirs)), matched(sweep(*theirs), sweep(*ours))
    assert len(there.matches) + len(there.only_first) == len(ours)
    assert len(there.matches) + len(there.only_second) == len(theirs)
    assert sorted(cells(there)) == sorted((a, b) for b, a in cells(back))
