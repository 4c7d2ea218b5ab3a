"""Verdicts and figures from records made by hand: two seeds, or five, whose stops and accuracies are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lab import export
from lab.claims import claims
from lab.energy import ENERGY
from lab.parameters import ParameterError
from lab.records import Estimate, Measured, Record, RunView, StoredRecord
from lab.statistics import student_t_quantile
from lab.summary import summarise
from lab.training.intervals import mean_over_seeds_and_items
from lab.verdicts import judge
from lab.workload import workload
from workloads.entropy_stopping.exploring import RuleSettings, over_seeds_and_items, rules
from workloads.entropy_stopping.exploring import charts as explored
from workloads.entropy_stopping.names import ALONE, BATCHED, COST, CURVE, RULE, dimensions_of
from workloads.entropy_stopping.stored_curves import read

SEEDS = range(5)
EPOCHS = 10


class Made:
    """Records of one run, in order."""

    def __init__(self, data: str = "MNIST") -> None:
        self.data, self.records = data, list[StoredRecord]()

    def add(self, protocol: str, part: str, arm: str, metric: str, value: float | None, unit: str, **more: object) -> None:
        at = {key: more.pop(key) for key in ("split", "epoch", "setting", "against", "against_setting") if key in more}
        dimensions = dimensions_of(part, model="difference", data=self.data, **at)  # type: ignore[arg-type]
        role = "technique" if arm == "plateau" else "baseline"
        how = ALONE if part == COST and metric != "steps_per_epoch" else BATCHED
        record = Record(protocol, arm, role, how, "cpu", "float32", metric, value, unit, dimensions=dimensions, **more)  # type: ignore[arg-type]
        self.records.append(StoredRecord(len(self.records), 0, record))

    def summary(self) -> list[Estimate]:
        declared = workload("entropy_stopping")
        return summarise(declared, declared.plan("quick", "cpu"), self.records)

    def measured(self, claim: str) -> dict[tuple[str, str], Measured]:
        found = workload("entropy_stopping").measure(claims()[claim], self.summary())
        assert len({(m.protocol, m.comparison) for m in found}) == len(found)
        return {(m.protocol, m.comparison): m for m in found}


def shares(
    made: Made, protocol: str, setting: object, values: Sequence[float], against: str = "full_budget", against_setting: object = ""
) -> None:
    for seed, value in zip(SEEDS, values, strict=True):
        made.add(
            protocol,
            RULE,
            "plateau",
            "epoch_share",
            value,
            "1",
            seed=seed,
            setting=setting,
            against=against,
            against_setting=against_setting,
        )


def costs(made: Made, metric: str, unit: str, step: float, evaluation: float) -> None:
    made.add("sound", COST, "constant_rate", "steps_per_epoch", 10, "1")
    for repeat in range(10):
        made.add("sound", COST, "training_step", metric, step, unit, repeat=repeat)
        made.add("sound", COST, "evaluation", metric, evaluation, unit, repeat=repeat)


def test_published_energy_is_the_share_of_epochs_not_run() -> None:
    made = Made()
    shares(made, "published", "picked on test data", [0.3, 0.3, 0.3, 0.3, 0.4])
    found = made.measured("stop-energy")["published", "published"]
    # Mean share 0.32: 68 % saved. Deviations −0.02 (four times) and 0.08: variance 0.002, standard error √(0.002/5) = 0.02; t is 2.776.
    assert found.value == pytest.approx(68)
    assert found.ci_low == pytest.approx(68 - 100 * 2.7764451 * 0.02)
    assert found.n == 5
    assert any("picked on the test data" in flaw for flaw in found.flaws)
    narrow = Made()
    shares(narrow, "published", "picked on test data", [0.333] * 5)
    verdict = judge(claims()["stop-energy"], narrow.measured("stop-energy")["published", "published"])
    assert verdict.verdict.startswith("reproducible with settings the threshold that serves the claim best")


def test_sound_energy_needs_joules() -> None:
    made = Made()
    shares(made, "sound", 0.01, [0.5] * 5)
    costs(made, "latency_s", "s", step=2.0, evaluation=5.0)
    found = made.measured("stop-energy")
    # One epoch 10 · 2 = 20 s, watched 25 s: half of the epochs cost 62.5 % of the time.
    assert found["sound", "published"].value is None
    assert "50 % (50 to 50) of the epochs and 37.5 % (37.5 to 37.5) of the time" in found["sound", "published"].reason
    assert "this run was not asked to measure energy" in found["sound", "published"].reason
    assert "no usual practice" in found["sound", "best"].reason
    assert found["published", "published"].value is None


def test_joules_count_the_rule_s_evaluations_on_both_sides() -> None:
    made = Made()
    shares(made, "sound", 0.01, [0.5] * 5)
    shares(made, "sound", 0.01, [0.8] * 5, "cosine", 12)
    costs(made, ENERGY, "J", step=2.0, evaluation=5.0)
    found = made.measured("stop-energy")
    assert found["sound", "published"].value == pytest.approx(37.5)  # 1 − 0.5 · 25/20
    assert found["sound", "best"].value == pytest.approx(0.0)  # 1 − 0.8 · 25/20: the schedule needs no evaluation
    assert "cosine schedule, 12 epochs" in found["sound", "best"].pair
    watching = Made()
    shares(watching, "sound", 0.01, [0.5] * 5)
    shares(watching, "sound", 0.01, [0.8] * 5, "patience_loss", 3)
    costs(watching, ENERGY, "J", step=2.0, evaluation=5.0)
    assert watching.measured("stop-energy")["sound", "best"].value == pytest.approx(20.0)  # both pay for evaluations


def test_models_that_diverged_are_a_flaw_of_what_the_others_saved() -> None:
    made = Made()
    shares(made, "published", "picked on test data", [0.333] * 5)
    made.add(
        "published",
        RULE,
        "plateau",
        "epoch_share",
        None,
        "1",
        seed=5,
        setting="picked on test data",
        against="full_budget",
        reason="the model diverged",
    )
    found = made.measured("stop-energy")["published", "published"]
    assert found.n == 5
    assert found.flaws[0] == "diverged: 1 of 6 values missing (the model diverged)"
    assert judge(claims()["stop-energy"], found).verdict == "inconclusive"


def test_other_data_give_no_verdict() -> None:
    made = Made("digits (SHA-256 12345678…)")
    shares(made, "published", "picked on test data", [0.333] * 5)
    verdict = judge(claims()["stop-energy"], made.measured("stop-energy")["published", "published"])
    assert verdict.verdict == "not measured"
    assert "The claim speaks of MNIST" in verdict.reason


def change(
    made: Made, protocol: str, setting: object, value: float, low: float, high: float, against: str, against_setting: object = ""
) -> None:
    for name, v in (("accuracy_change", value), ("accuracy_change_low", low), ("accuracy_change_high", high)):
        made.add(protocol, RULE, "plateau", name, v, "points", setting=setting, against=against, against_setting=against_setting)
    for seed in SEEDS:
        made.add(protocol, RULE, "plateau", "stop_epoch", 4 + seed, "epochs", seed=seed, setting=setting)


def test_accuracy_is_that_of_the_threshold_fixed_beforehand() -> None:
    made = Made()
    shares(made, "sound", 0.01, [0.5] * 5)
    change(made, "sound", 0.05, -3.0, -4.0, -2.0, "full_budget")
    change(made, "sound", 0.01, -0.2, -0.21, -0.19, "full_budget")
    change(made, "sound", "picked on test data", 0.5, 0.4, 0.6, "full_budget")
    change(made, "sound", 0.01, -0.9, -1.1, -0.7, "cosine", 6)
    made.add(
        "sound", COST, "cosine", "learning_rate", 0.06, "1", setting=6, reason="grid edge: the best learning rate, 0.06, is the highest"
    )
    found = made.measured("stop-acc")
    assert (found["sound", "published"].value, found["sound", "published"].ci_low) == (-0.2, -0.21)
    assert found["sound", "best"].value == -0.9
    assert found["sound", "published"].n == 5
    assert "stopped after 6.0 epochs on average" in found["sound", "published"].pair
    assert "cosine schedule, 6 epochs" in found["sound", "best"].pair
    assert found["sound", "best"].flaws[0].startswith("grid edge")
    assert judge(claims()["stop-acc"], found["sound", "best"]).verdict == "inconclusive"


def test_a_run_without_records_measures_nothing_and_says_so() -> None:
    for claim in ("stop-energy", "stop-acc"):
        found = Made().measured(claim)
        assert set(found) == {("published", "published"), ("sound", "published"), ("sound", "best")}
        assert all(m.value is None and m.reason for m in found.values())


# --- stored curves ------------------------------------------------------------------------------------------------------------------


def with_curves(seeds: int = 5, missing_after: int = EPOCHS) -> Made:
    """Entropies that halve each epoch; seed 0 diverges after ``missing_after`` epochs."""
    made = Made()
    made.add("sound", CURVE, "constant_rate", "test_items", 400, "1")
    for epoch in range(1, EPOCHS + 1):
        for seed in range(seeds):
            gone = seed == 0 and epoch > missing_after
            for metric, value, unit in (("output_entropy", 2.0**-epoch, "nats"), ("loss", 1 / epoch, "nats"), ("accuracy", 90 + seed, "%")):
                made.add(
                    "sound",
                    CURVE,
                    "constant_rate",
                    metric,
                    None if gone else value,
                    unit,
                    seed=seed,
                    split="validation",
                    epoch=epoch,
                    reason="the model diverged" if gone else "",
                )
            made.add(
                "sound",
                CURVE,
                "constant_rate",
                "accuracy",
                None if gone else 90.0 + epoch,
                "%",
                seed=seed,
                split="test",
                epoch=epoch,
                reason="x",
            )
    return made


def test_curves_come_back_from_records_and_are_evaluated_anew() -> None:
    made = with_curves()
    (stored,) = read(made.records).values()
    assert stored.epochs == EPOCHS
    assert stored.curves[3].entropy == [2.0**-epoch for epoch in range(1, EPOCHS + 1)]
    assert stored.test_accuracy[0][2] == 93.0
    # |H(e) − H(e − 1)| = 2^−e < 0.02 from e = 6 on (1/64): three in a row at epoch 8.
    found = explored(RuleSettings(threshold=0.02, epochs=10), made.summary(), made.records, None)
    assert found[0].marks["entropy plateau"] == 8
    assert found[1].series[0].y == (98.0,)
    later = explored(RuleSettings(threshold=0.02, window=1, epochs=10), made.summary(), made.records, None)
    assert later[0].marks["entropy plateau"] == 6
    shorter = explored(RuleSettings(threshold=0.02, epochs=5), made.summary(), made.records, None)
    assert shorter[0].marks["entropy plateau"] == 5  # the epochs ran out
    assert "stops 0 of 5 seeds" in shorter[0].takeaway


def test_a_window_above_the_epochs_is_refused_in_words() -> None:
    with pytest.raises(ParameterError, match="window: '12' is too long; allowed: below the 10 epochs of the run"):
        explored(RuleSettings(window=12), [], with_curves().records, None)
    assert len(rules(RuleSettings(), 10)) == 5


def test_a_diverged_seed_is_left_out_and_told() -> None:
    made = with_curves(missing_after=2)
    found = explored(RuleSettings(threshold=0.02), made.summary(), made.records, None)
    assert found[0].takeaway.startswith("Entropy plateau stops 4 of 5 seeds")
    assert found[0].series[0].y[2] is None
    nothing = explored(RuleSettings(protocol="published"), made.summary(), made.records, None)
    assert nothing == []


def test_an_epoch_that_not_every_curve_has_yet_does_not_count() -> None:
    made = with_curves()
    made.records = [s for s in made.records if not (s.record.metric == "loss" and s.record.dimensions["epoch"] == EPOCHS)]
    (stored,) = read(made.records).values()
    assert stored.epochs == EPOCHS - 1


def test_the_interval_without_items_is_never_narrower_than_the_one_with_them() -> None:
    random = np.random.default_rng(0)
    for shared in (0.0, 0.5, 1.0):  # of the errors that all seeds make on the same items
        hard = random.random(200) < 0.2
        correct = np.stack([np.where(random.random(200) < shared, ~hard, random.random(200) > 0.2) for _ in range(5)]).astype(float)
        exact = mean_over_seeds_and_items(100 * correct)
        wide = over_seeds_and_items(list(100 * correct.mean(1)), 200)
        assert wide.mean == pytest.approx(exact.mean)
        assert wide.low is not None
        assert wide.high is not None
        assert exact.low is not None
        assert exact.high is not None
        assert wide.high - wide.low >= exact.high - exact.low


def test_an_interval_of_equal_seeds_is_that_of_the_items() -> None:
    # Five seeds at 90 % of 400 items: √(90 · 10)/√400 = 1.5 points, times t(97.5 %, 4).
    found = over_seeds_and_items([90.0] * 5, 400)
    assert found.high == pytest.approx(90 + 1.5 * student_t_quantile(0.975, 4))
    assert over_seeds_and_items([90.0] * 4, 400).low is None  # too few seeds


def test_figures_of_an_exported_run_are_those_of_the_run(tmp_path: Path) -> None:
    """Settings of several types share one column of the file: what comes back as text must still be told apart."""
    made = with_curves()
    for seed in SEEDS:
        made.add("sound", RULE, "plateau", "stop_epoch", 4, "epochs", seed=seed, setting=0.05)
        made.add("sound", RULE, "plateau", "stop_epoch", 6, "epochs", seed=seed, setting="picked on test data")
        made.add("sound", RULE, "cosine", "stop_epoch", 5, "epochs", seed=seed, setting=5)
    shares(made, "sound", 0.05, [0.4] * 5)
    declared = workload("entropy_stopping")
    plan = declared.plan("quick", "cpu")
    view = RunView(
        "run", declared, plan, {"run_id": "run", "workload": declared.name, "parameters": plan.to_json()}, made.records, "finished"
    )
    export.write(tmp_path, view)
    back = export.load_recorded(tmp_path)
    again = declared.charts(summarise(declared, plan, back.records), back.records)
    assert [(c.key, dict(c.marks), c.takeaway) for c in again] == [
        (c.key, dict(c.marks), c.takeaway) for c in declared.charts(made.summary(), made.records)
    ]
    assert declared.measure(claims()["stop-energy"], summarise(declared, plan, back.records)) == declared.measure(
        claims()["stop-energy"], made.summary()
    )


def test_charts_name_every_point_and_mark_where_rules_stop() -> None:
    made = with_curves()
    for seed in SEEDS:
        made.add("sound", RULE, "plateau", "stop_epoch", 4, "epochs", seed=seed, setting=0.05)
        made.add("sound", RULE, "patience_loss", "stop_epoch", 4 + seed / 10, "epochs", seed=seed, setting=3)
        made.add("sound", RULE, "cosine", "stop_epoch", 5, "epochs", seed=seed, setting=5)
    for arm, setting, level in (("plateau", 0.05, 95.0), ("patience_loss", 3, 96.0), ("cosine", 5, 97.0)):
        for name, value in (("test_accuracy", level), ("test_accuracy_low", level - 1), ("test_accuracy_high", level + 1)):
            made.add("sound", RULE, arm, name, value, "%", setting=setting)
    costs(made, "latency_s", "s", step=2.0, evaluation=5.0)
    found = {chart.key: chart for chart in workload("entropy_stopping").charts(made.summary(), made.records)}
    frontier = found["frontier_sound_difference"]
    points = {series.name: (series.x[0], series.y[0], series.low[0], series.labels[0]) for series in frontier.series}
    # 4 epochs of 10 · 2 s and an evaluation of 5 s each; the schedule of 5 epochs needs none.
    assert points == {
        "entropy plateau": (100.0, 95.0, 94.0, "threshold 0.05"),
        "patience": (pytest.approx(105.0), 96.0, 95.0, "on loss, patience 3"),
        "cosine schedule": (100.0, 97.0, 96.0, "5 epochs"),
    }
    marks = found["output_entropy_sound_difference"].marks
    assert marks == {"entropy 0.05, patience on validation loss": pytest.approx(4.1)}  # within half an epoch: one line
