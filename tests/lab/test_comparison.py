"""Runs side by side: sides, rows, words and refusals, verdicts, spread. Numbers are derived by hand beside them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from lab.comparison import ComparedRun, Comparison, ComparisonError, Row, compare, what, where
from lab.verdicts import Verdict
from tests.demo_workloads.demo.spec import WORKLOAD as DEMO
from tests.lab.compared_runs import DIGITS, GPU, MANIFEST, around, exact, run, seeds, times


def arms(new: float = 1.0, old: float = 2.0, older: float = 3.0, oldest: float = 4.0, spread: float = 0.01) -> dict:
    return {("new", "x"): around(new, spread), ("old", "x"): around(old, spread), ("older", "x"): around(older, spread)} | {
        ("oldest", "x"): around(oldest, spread)
    }


def one(found: Comparison, kind: str, arm: str = "new", baseline: str | None = None, pairing: int = 0) -> Row:
    rows = [
        row
        for row in found.pairings[pairing].rows
        if row.kind == kind and row.first.estimate.arm == arm and baseline in (None, row.first.estimate.baseline_arm)
    ]
    assert len(rows) == 1
    return rows[0]


def pair(first: Any, second: Any, **manifest: Any) -> Comparison:
    return compare([run("a", times(first)), run("b", times(second), **manifest)])


# --- what may be compared at all --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 7])
def test_two_to_six_runs_are_compared(count: int) -> None:
    with pytest.raises(ComparisonError, match="allowed: 2 to 6"):
        compare([run(f"r{i}", times(arms())) for i in range(count)])


def test_a_run_is_compared_once() -> None:
    with pytest.raises(ComparisonError, match="a is given twice"):
        compare([run("a", times(arms())), run("a", times(arms()))])


def test_a_copy_of_a_run_is_not_a_second_run() -> None:
    original = run("a", times(arms()))
    copies = [dataclasses.replace(original, reference=reference) for reference in ("imported/0123456789ab", "recorded/compared/h200")]
    with pytest.raises(ComparisonError, match="a and imported/0123456789ab are the same run"):
        compare([original, *copies])


def test_runs_of_different_experiments_are_refused_by_their_titles() -> None:
    with pytest.raises(ComparisonError, match=r"a is of Compared, b is of Demo"):
        compare([run("a", times(arms())), run("b", [], workload=DEMO)])


def test_runs_without_measurements_can_be_compared() -> None:
    found = compare([run("a", []), run("b", [])])
    assert found.pairings[0].rows == ()


# --- ratios of ratios and raw values ------------------------------------------------------------------------------------------------


def test_the_ratio_of_ratios_with_its_interval() -> None:
    # Logs of technique and baseline alternate together by ± ln 1.01, so within a run the ratio is exact: 2 / 1 = 2 and 2 / 0.5 = 4.
    # The baselines did not move, so nothing is added: 4 / 2 = 2, interval of width 0.
    row = one(pair(arms(), arms(new=0.5)), "ratio", baseline="old")
    assert (row.values[0].mean, row.values[1].mean) == (pytest.approx(2.0), pytest.approx(4.0))
    assert (row.change, row.low, row.high) == (pytest.approx(2.0), pytest.approx(2.0), pytest.approx(2.0))
    assert row.word == "higher"


def test_what_baselines_moved_apart_is_added_to_a_ratio() -> None:
    # Baselines move by factors 1, 1.1 and 1.21: d = 0, δ, 2δ with δ = ln 1.1; Σ(d − d̄)² = 2δ², N(1 − 1/m) = 2, deviation δ. A ratio of two
    # arms has √2·δ, with t(0.975; 2) = 4.302653. The technique did not move: against "old" its ratio stays 2.
    found = pair(arms(), arms(older=3.3, oldest=4.84))
    row = one(found, "ratio", baseline="old")
    half = 4.302653 * math.sqrt(2) * math.log(1.1)
    assert row.change == pytest.approx(1.0)
    assert row.high == pytest.approx(math.exp(half), rel=1e-4)
    assert row.word == "no difference shown"
    assert "3 unchanged implementations" in row.reason


def test_a_raw_time_with_the_interval_of_both_runs() -> None:
    # Ten values of log ± ln 1.01 around 1 have the mean (1.01 + 1/1.01) / 2; the same relative interval in both runs, so that the
    # combined half-width on the log scale is √2 times that of one, taken on its longer side.
    found = pair(arms(), arms(new=0.5))
    row = one(found, "raw")
    estimate = row.first.estimate
    assert estimate.mean is not None
    assert estimate.ci_low is not None
    half = math.log(estimate.mean / estimate.ci_low)
    assert row.change == pytest.approx(0.5)
    assert math.log(row.high / row.change) == pytest.approx(math.sqrt(2) * half, rel=1e-9)
    assert row.word == "faster"


@pytest.mark.parametrize(("new", "word"), [(0.5, "faster"), (2.0, "slower"), (1.0, "no difference"), (1.05, "no difference shown")])
def test_words_of_a_time(new: float, word: str) -> None:
    # The margin on a CPU is 5 %.
    assert one(pair(arms(spread=0.001), arms(new=new, spread=0.001)), "raw").word == word


def test_where_the_baselines_moved_the_machine_is_another_one() -> None:
    # Everything takes 1.5 times as long: the ratios stay, and no time is called slower.
    found = pair(arms(), arms(1.5, 3.0, 4.5, 6.0))
    row = one(found, "raw")
    assert row.change == pytest.approx(1.5)
    assert row.word == "not decided"
    assert "the machine was in another state" in row.reason
    assert {r.word for r in found.pairings[0].of("ratio")} == {"no difference"}
    finding = found.pairings[0].findings[0]
    assert len(finding.moved) == 3
    assert finding.controls.common == pytest.approx(math.log(1.5))


def test_a_technique_that_moved_with_its_machine_is_not_called_different() -> None:
    # 4 % slower as a whole, which is within the margin for baselines; the technique is 6 % slower, beyond it, but 2 % of its own.
    found = pair(arms(spread=0.001), arms(1.06, 2.08, 3.12, 4.16, spread=0.001))
    assert not found.pairings[0].findings[0].moved
    assert one(found, "raw").word == "no difference shown"


def test_a_single_baseline_cannot_tell_how_runs_differ() -> None:
    values = {("new", "x"): around(1.0), ("old", "x"): around(2.0)}
    found = compare([run("a", times(values)), run("b", times(values | {("new", "x"): around(0.5)}))])
    for kind in ("ratio", "raw"):
        row = one(found, kind)
        assert (row.word, row.change is not None) == ("not decided", True)
        assert "Select 3 runs" in row.reason


def test_controls_get_no_word() -> None:
    found = pair(arms(), arms(old=9.0))
    assert {row.word for row in found.pairings[0].of("control")} == {""}


@pytest.mark.parametrize(("crowd", "word"), [(0, "slower"), (30, "no difference shown")])
def test_many_measurements_are_judged_together(crowd: int, word: str) -> None:
    # A change that one technique alone would show is not called different among thirty that did not move.
    others = {(f"still{i}", "x"): [1.0 + 0.02 * ((i + j) % 3) for j in range(10)] for i in range(crowd)}
    assert one(pair(arms(1.0) | others, arms(1.083) | others), "raw").word == word


# --- refusals -----------------------------------------------------------------------------------------------------------------------


def versions(**changed: str) -> dict:
    return {"versions": {**MANIFEST["versions"], **changed}}


def cpu(**changed: Any) -> dict:
    return {"machine": {**MANIFEST["machine"], "cpu": {**MANIFEST["machine"]["cpu"], **changed}}}


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (cpu(model="Processor Q"), "different CPU (Processor P, Processor Q)"),
        (cpu(logical_cores=4), "different CPU (cores or caches)"),
        ({"threads": 4}, "different number of CPU threads (2, 4)"),
        (versions(torch="2.11.0"), "different version of torch (2.13.0, 2.11.0)"),
        (versions(numpy="2.5"), "different version of NumPy (2.4.6, 2.5)"),
        (versions(python="3.12.3"), "different version of Python (3.11.7, 3.12.3)"),
        ({"commit": "d" * 40}, "different lab commit (cccccccccccc, dddddddddddd)"),
        ({"commit": None}, "different lab commit (cccccccccccc, not recorded)"),
        ({"schema_version": 2}, "different format of the run (1, 2)"),
    ],
)
def test_times_of_different_circumstances_are_refused(manifest: dict, reason: str) -> None:
    found = pair(arms(), arms(new=0.5), **manifest)
    for row in found.pairings[0].of("ratio", "raw", "control"):
        assert (row.word, row.change) == ("refused", None)
        assert reason in row.reason
    # Both sides' values stand there all the same.
    assert one(found, "ratio", baseline="old").values[1].mean == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("manifest", "refused"),
    [
        (versions(triton="3.6"), False),  # nothing that a CPU measured rests on
        ({"driver": "999"}, False),
        ({"hardware": "other words"}, False),
        ({"started_at": "2027-01-01T00:00:00Z"}, False),
        ({"commit": None, "lab_version": "9"}, True),
    ],
)
def test_what_a_cpu_measured_rests_on(manifest: dict, refused: bool) -> None:
    assert (one(pair(arms(), arms(), **manifest), "raw").word == "refused") == refused


def gpu(**changed: Any) -> dict:
    machine = {**GPU["machine"], "gpus": [{**GPU["machine"]["gpus"][0], **changed.pop("card", {})}]}
    return {**GPU, "machine": machine, **changed}


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (gpu(card={"name": "GPU H"}), "different GPU (GPU G, GPU H)"),
        (gpu(card={"power_limit_w": 350.0}), "different GPU (memory, clocks, power limit or MIG)"),
        (gpu(driver="581"), "different driver (580, 581)"),
        (gpu(**versions(triton="3.6")), "different version of Triton (not recorded, 3.6)"),
        (gpu(**versions(cuda="13.0")), "different version of CUDA (not recorded, 13.0)"),
        (gpu(card={"uuid": "GPU-2"}), ""),
    ],
)
def test_what_a_gpu_measured_rests_on(manifest: dict, reason: str) -> None:
    on_gpu = [times(values, device="cuda:0") for values in (arms(), arms(new=0.5))]
    found = compare([run("a", on_gpu[0], **gpu()), run("b", on_gpu[1], **manifest)])
    row = one(found, "raw")
    assert (row.word == "refused") == bool(reason)
    assert reason in row.reason
    if not reason:
        assert "two GPUs of the same model" in found.pairings[0].caveats[0]


def test_another_least_segment_refuses_times() -> None:
    found = compare([run("a", times(arms())), run("b", times(arms()), {"segment_s": 0.02})])
    assert "different least duration of a timed segment (0.1, 0.02)" in one(found, "raw").reason


def test_cold_and_warm_are_refused() -> None:
    # The state of the cache has one value in each run; the runs differ in k as a whole, which it is taken to follow from.
    found = compare([run("a", times(arms(), cache="cold")), run("b", times(arms(), cache="warm"), {"k": 64})])
    assert "different state of the cache (cold, warm)" in one(found, "raw").reason


def test_cpu_and_gpu_stand_side_by_side() -> None:
    found = compare([run("a", times(arms())), run("b", times(arms(new=0.5), device="cuda:0"), **gpu())])
    row = one(found, "ratio", baseline="old")
    assert row.word == "refused"
    assert row.reason.startswith("different device kind (CPU, GPU)")
    assert [value.mean for value in row.values] == [pytest.approx(2.0), pytest.approx(4.0)]


def test_few_observations_drift_and_missing_values_are_refused() -> None:
    few = {name: values[:4] for name, values in arms().items()}
    assert "fewer than 5 observations" in one(pair(arms(), few), "raw").reason
    drifting = arms() | {("new", "x"): [1.0 + 0.05 * i for i in range(10)]}
    row = one(pair(arms(), drifting), "ratio", baseline="old")
    assert (row.word, row.reason.startswith("second side: drift")) == ("refused", True)
    missing = [(0, record) for _, record in times(arms())]
    lost = [(cell, record) for cell, record in missing if record.arm != "new"]
    record = next(record for _, record in missing if record.arm == "new")
    gone = type(record)("sound", "new", "technique", "x", "cpu", "float32", "latency_s", None, "s", reason="no such kernel here")
    found = compare([run("a", missing), run("b", [*lost, (0, gone)])])
    assert (one(found, "raw").word, one(found, "raw").reason) == ("not measured", "no such kernel here")


# --- what was learned, counts -------------------------------------------------------------------------------------------------------


def learned(first: list[float], second: list[float], **manifest: Any) -> Row:
    found = compare([run("a", seeds("new", first, data="digits"), data=DIGITS), run("b", seeds("new", second, data="digits"), **manifest)])
    return one(found, "learned")


def test_the_difference_of_accuracies() -> None:
    # Means 90 and 80; deviation of 88 … 92 is √2.5, half-width t(0.975; 4)·√(2.5/5) = 2.776·0.7071 = 1.963; of both 2.776.
    row = learned([88, 89, 90, 91, 92], [78, 79, 80, 81, 82], data=DIGITS)
    assert (row.scale, row.change) == ("difference", pytest.approx(-10.0))
    assert (row.low, row.high) == (pytest.approx(-10 - 2.776445, rel=1e-5), pytest.approx(-10 + 2.776445, rel=1e-5))
    assert row.word == "lower"


def test_equal_seeds_that_gave_equal_values_are_equal() -> None:
    row = learned([88, 89, 90, 91, 92], [88, 89, 90, 91, 92], data=DIGITS)
    assert (row.word, row.reason) == ("equal", "the same value and interval to the last digit")


@pytest.mark.parametrize(
    ("manifest", "word"),
    [
        ({"data": [{"name": "digits", "sha256": "b" * 64}]}, "refused"),
        ({"data": [{"name": "digits"}]}, "refused"),
        ({"data": [*DIGITS, {"name": "text", "sha256": "e" * 64}]}, "lower"),  # the measurement says which data it is of
        ({"data": DIGITS, **cpu(model="Processor Q")}, "lower"),  # no clock in it
        ({"data": DIGITS, "commit": "d" * 40}, "refused"),
    ],
)
def test_what_was_learned_rests_on_data_and_code(manifest: dict, word: str) -> None:
    assert learned([88, 89, 90, 91, 92], [78, 79, 80, 81, 82], **manifest).word == word


@pytest.mark.parametrize(("named", "refused"), [("digits", True), ("text", False), ("", False)])
def test_a_time_rests_on_the_data_that_it_names(named: str, refused: bool) -> None:
    other = [{"name": "digits", "sha256": "b" * 64}, {"name": "text", "sha256": "e" * 64}]
    timed = [times(arms(), **({"data": named} if named else {})) for _ in range(2)]
    found = compare([run("a", timed[0], data=[*DIGITS, other[1]]), run("b", timed[1], data=other)])
    row = one(found, "raw")
    assert (row.word == "refused") == refused
    assert ("different data (digits: SHA-256)" in row.reason) == refused


def test_an_interval_that_the_experiment_recorded_belongs_to_its_value() -> None:
    def of(value: float, low: float, high: float) -> list:
        return [*exact("gain", value, "points"), *exact("gain_low", low, "points"), *exact("gain_high", high, "points")]

    found = compare([run("a", of(3.0, 2.0, 5.0)), run("b", of(13.0, 12.0, 14.0))])
    row = one(found, "learned")
    assert len(found.pairings[0].rows) == 1
    # The longer side counts: √(2² + 1²).
    assert (row.change, row.high) == (10.0, pytest.approx(10 + math.sqrt(5)))
    assert row.word == "higher"


def test_counts_are_equal_or_not_whatever_the_machine() -> None:
    for value, word in ((3.0, "equal"), (4.0, "not equal")):
        found = compare([run("a", exact("parameters", 3.0)), run("b", exact("parameters", value), threads=64, commit="d" * 40)])
        assert one(found, "count").word == word


def test_one_reading_of_a_clock_is_no_count() -> None:
    found = compare([run("a", exact("latency_s", 3.0, "s", device="cpu")), run("b", exact("latency_s", 4.0, "s", device="cpu"))])
    assert [row.kind for row in found.pairings[0].rows] == ["listed"]


def test_what_is_better_neither_way_gets_no_word() -> None:
    first, second = (times({("new", "x"): around(watts)}, metric="power_w", unit="W") for watts in (100.0, 300.0))
    row = one(compare([run("a", first), run("b", second)]), "listed")
    assert (row.word, row.change) == ("", pytest.approx(3.0))


# --- repeated runs ------------------------------------------------------------------------------------------------------------------


def repeated(prefix: str, factors: list[float], parameters: dict | None = None) -> list[ComparedRun]:
    return [run(f"{prefix}{i}", times(arms(new=factor)), parameters) for i, factor in enumerate(factors)]


def test_three_runs_of_equal_settings_are_one_side() -> None:
    first, second = repeated("a", [1.0, 1.02, 1.0 / 1.02]), repeated("b", [2.0, 2.04, 2.0 / 1.02], {"k": 64})
    found = compare([first[0], second[0], *second[1:], *first[1:]])
    assert [(pairing.first, pairing.second) for pairing in found.pairings] == [((0, 4, 5), (1, 2, 3))]
    row = one(found, "raw")
    # Logs 0, ± ln 1.02: deviation ln 1.02, of the mean ln 1.02/√3; two such sides, t(0.975; 2) = 4.302653.
    half = 4.302653 * math.sqrt(2 / 3) * math.log(1.02)
    assert row.change == pytest.approx(2.0)
    assert row.high == pytest.approx(2.0 * math.exp(half), rel=1e-4)
    assert row.values[0].n == 3
    assert (row.word, row.reason) == ("slower", "spread between runs from repeated runs")


def test_two_runs_of_equal_settings_are_compared_with_each_other() -> None:
    found = compare(repeated("a", [1.0, 1.02]))
    assert [(pairing.first, pairing.second) for pairing in found.pairings] == [((0,), (1,))]
    assert found.spreads == ()


def test_runs_that_are_all_equal_show_their_spread() -> None:
    found = compare(repeated("a", [1.0, 1.02, 1.0 / 1.02]))
    assert found.pairings == ()
    spread = found.spreads[0]
    row = next(row for row in spread.rows if row.quantity.estimate.arm == "new" and not row.quantity.is_pair)
    assert spread.runs == (0, 1, 2)
    assert row.deviation == pytest.approx(math.log(1.02))
    assert row.high == pytest.approx(row.mean * math.exp(4.302653 * math.log(1.02) / math.sqrt(3)), rel=1e-5)


def test_a_single_run_is_held_against_the_spread_of_the_repeated_ones() -> None:
    found = compare([*repeated("a", [1.0, 1.02, 1.0 / 1.02]), run("b", times(arms(new=1.03)), {"k": 64})])
    row = one(found, "raw")
    assert row.word == "no difference shown"
    # At least the textbook prediction interval: t(0.975; 2)·s·√(1 + 1/3).
    assert math.log(row.high / row.change) >= 4.302653 * math.log(1.02) * math.sqrt(4 / 3) - 1e-6


def test_another_seed_is_another_setting() -> None:
    runs = repeated("a", [1.0, 1.0]) + repeated("b", [1.0], {"seed": 1})
    assert len(compare(runs).pairings) == 2


# --- verdicts -----------------------------------------------------------------------------------------------------------------------


def verdict(claim_id: str, word: str) -> Verdict:
    return Verdict(claim_id, "source", "sound", "best", "latency_s", 8.1, 1.0, None, None, word, "because", "evidence")


def test_verdicts_side_by_side_with_disagreements_first() -> None:
    words = {
        "act-flops-phi6": ("reproduced", "reproduced"),
        "act-speed-zeta": ("reproduced", "inconclusive"),
        "act-speed-phi6": ("contradicted", "reproduced"),
        "act-gating": ("not measured", "reproduced"),
        "act-dropin": ("not measured", "not measured"),
    }
    runs = [run(name, [], verdicts=[verdict(claim, several[i]) for claim, several in words.items()]) for i, name in enumerate("ab")]
    rows = compare(runs).verdicts
    assert [(row.claim_id, row.disagreement) for row in rows[:2]] == [("act-speed-phi6", 2), ("act-speed-zeta", 1)]
    assert {row.claim_id for row in rows[2:]} == {"act-flops-phi6", "act-gating"}  # what no run measured is left out
    assert next(row for row in rows if row.claim_id == "act-gating").words == ((), ("reproduced",))


def test_settings_of_a_verdict_are_no_disagreement() -> None:
    words = ("reproducible with settings a", "reproducible with settings b")
    rows = compare([run(name, [], verdicts=[verdict("act-speed-phi6", word)]) for name, word in zip("ab", words, strict=True)]).verdicts
    assert rows[0].disagreement == 0


@pytest.mark.parametrize(
    ("first", "second", "level"),
    [
        (["contradicted", "inconclusive"], ["no difference", "inconclusive"], 2),  # the open one hides nothing
        (["reproduced", "contradicted"], ["contradicted", "reproduced"], 2),  # the same words, of other pairs
        (["reproduced"], ["reproduced", "reproduced"], 0),  # one more pair is no disagreement
        (["reproduced"], ["reproduced", "inconclusive"], 1),
        (["reproduced"], ["reproduced", "contradicted"], 2),
        (["not measured", "reproduced"], ["contradicted", "reproduced"], 0),
    ],
)
def test_several_pairs_of_one_claim_are_held_against_each_other(first: list[str], second: list[str], level: int) -> None:
    runs = [
        run(name, [], verdicts=[verdict("act-speed-phi6", word) for word in words])
        for name, words in zip("ab", (first, second), strict=True)
    ]
    assert compare(runs).verdicts[0].disagreement == compare(runs[::-1]).verdicts[0].disagreement == level


# --- in words -----------------------------------------------------------------------------------------------------------------------


def test_a_row_in_words() -> None:
    found = compare([run("a", times(arms(), clusters=32)), run("b", times(arms(), clusters=64), {"k": 64})])
    row = one(found, "ratio", baseline="old")
    assert what(row.first, found.runs[0].view) == "new, x against old, x"
    assert where(row.first, row.second) == "sound protocol, clusters = 32 → 64, dtype = float32"
    assert where(row.first, row.second, ["sound protocol"]) == "clusters = 32 → 64, dtype = float32"
