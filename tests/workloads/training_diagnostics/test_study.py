"""Parameters, the runs with a transition, findings from counts, and the whole experiment in miniature."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.claims import claims
from lab.parameters import ParameterError, Plan
from lab.records import DataUsed, Estimate, Record
from lab.verdicts import judge
from lab.workload import Context, workload
from workloads.training_diagnostics import detection_study, experiment, grok
from workloads.training_diagnostics.findings import measure
from workloads.training_diagnostics.names import (
    ADDITION,
    CHANCE_HITS,
    CURVE,
    DETECTION,
    EMBEDDING,
    FALSE_ALARMS,
    H1_TOTAL,
    HITS,
    PUBLISHED_RULE,
    RUNS,
    dimensions_of,
    high,
    low,
    rank_of,
)
from workloads.training_diagnostics.parameters import TrainingDiagnosticsParameters

SMALL = {
    "windows": ("6", "12"), "steps": 60, "seeds": 2, "modulus": 7, "batch_size": 8, "epochs": 1, "image_seeds": 1, "points": 20,
    "surrogates": 1, "nulls": 39, "embedded": ("images", "addition"),
}  # fmt: skip


def plan(**values):
    return Plan.of(TrainingDiagnosticsParameters, SMALL | values)


def context(of):
    return Context(device="cpu", cell=0, n_cells=1, preset="custom", threads=1, cache_dir="", plan=of)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"batch_size": 25}, "batch_size"),  # 24 of 49 pairs train
        ({"steps": 50, "windows": ("6", "36")}, "steps"),
        ({"nulls": 19}, "nulls"),  # two windows: p can be no smaller than 1/20, and 0.025 is needed
        ({"delay": 50}, "delay"),
        ({"studies": ("embedding",)}, "embedded"),
        ({"threshold": float("nan")}, "threshold"),
    ],
)
def test_settings_that_cannot_work_name_their_field(values, field):
    with pytest.raises(ParameterError) as caught:
        plan(**values)
    assert caught.value.name == field


def test_pairs_are_all_pairs_and_controls_keep_their_answers():
    data = grok.pairs(5, 12, (3, 4))
    for place in range(2):
        first, second = data.inputs[place, :, :5].argmax(1), data.inputs[place, :, 5:].argmax(1)
        assert len(set(zip(first.tolist(), second.tolist(), strict=True))) == 25
        assert (data.answers[place] == (first + second) % 5).all()
        assert sorted(data.shuffled[place]) == sorted(data.answers[place])
        assert (data.shuffled[place] != data.answers[place]).any()
    assert (data.inputs[0] != data.inputs[1]).any()


def test_addition_generalises_and_random_labels_do_not():
    torch.set_num_threads(1)
    runs = grok.Runs((0,))
    data = grok.pairs(13, 118, (0,))
    for point in grok.train(data, batch_size=118, width=48, learning_rate=0.02, weight_decay=1.0, steps=400, every=20, device="cpu"):
        runs.add(point)
    assert runs.losses.shape == (400, 2)
    assert runs.train_accuracy[-1].min() > 0.95
    assert runs.held_out_accuracy[-1][0] > 0.9
    assert max(values[1] for values in runs.held_out_accuracy) < 0.4


def estimate(arm, metric, value, n=1, **where):
    part = where.pop("part")
    return Estimate(
        "training_diagnostics", "sound", arm, "", "", "", metric, "exact", value, None, None, n, "1",
        dimensions=dimensions_of(part, data="x", **where),
    )  # fmt: skip


def counted(hits, chance, runs):
    values = {RUNS: runs, HITS: hits, CHANCE_HITS: chance, FALSE_ALARMS: runs}
    return [estimate(PUBLISHED_RULE, metric, value, part=DETECTION) for metric, value in values.items()]


@pytest.mark.parametrize(
    ("hits", "chance", "runs", "verdict"),
    [
        (80, 80, 80, "no difference"),  # it always rings: ± 0.0458
        (10, 10, 10, "inconclusive"),
        (100, 0, 100, "reproduced"),  # J = 1, at least 0.95
        (0, 100, 100, "contradicted"),
        (30, 5, 100, "smaller than claimed"),  # J = 0.25, 0.14 to 0.35
    ],
)
def test_verdicts_on_the_filter_follow_from_counts(hits, chance, runs, verdict):
    (first, *_) = measure(claims()["rfilter"], counted(hits, chance, runs))
    assert judge(claims()["rfilter"], first).verdict == verdict


def test_a_run_without_transitions_measures_nothing():
    (first, *_) = measure(claims()["rfilter"], counted(0, 0, 0))
    assert first.value is None
    assert "No run made a transition" in judge(claims()["rfilter"], first).reason
    assert all(m.value is None and m.reason for m in measure(claims()["rfilter"], []))


@pytest.mark.parametrize(
    ("ends", "n", "verdict"),
    [((1, 1), 8, "reproduced"), ((2, 4), 8, "contradicted"), ((1, 6), 8, "inconclusive"), ((None, None), 3, "inconclusive")],
)
def test_verdicts_on_the_dimension_follow_from_its_rank(ends, n, verdict):
    metric = rank_of(H1_TOTAL)
    rows = [estimate(CURVE, H1_TOTAL, 5.0, n=n, part=EMBEDDING, dimension=6)]
    for name, value in ((metric, 1.0 if verdict == "reproduced" else 3.0), (low(metric), ends[0]), (high(metric), ends[1])):
        rows.append(estimate(CURVE, name, value, part=EMBEDDING, dimension=6))
    found = [m for m in measure(claims()["takens"], rows) if m.value is not None]
    assert [judge(claims()["takens"], m).verdict for m in found] == [verdict]


@pytest.fixture(scope="module")
def events():
    of = plan()
    return list(experiment.run(of.cells[0], context(of)))


def test_the_experiment_in_miniature(events):
    assert {e.name for e in events if isinstance(e, DataUsed)} == {"digits", ADDITION}
    records = [e for e in events if isinstance(e, Record)]
    # 134 batches of 8 in the 1,078 training images, and 60 steps of addition.
    assert sum(r.metric == "loss" for r in records) == 134 + 60
    assert all(r.value is None or np.isfinite(r.value) for r in records)
    assert all(r.metric in workload("training_diagnostics").metrics for r in records)


def test_a_window_longer_than_the_losses_is_named():
    of = plan(windows=("6", "96"), steps=400)
    short = of.cells[0].model_copy(update={"studies": ("peaks",), "windows": ("6", "48")})
    session = experiment._Session(short, context(of))
    session.image_losses, session.image_label = np.random.default_rng(0).random((40, 1)), "x"
    with pytest.raises(ParameterError, match="longer than the curve"):
        list(session.peaks())


def test_diverged_runs_end_in_a_clear_result():
    of = plan(learning_rate=1.0, weight_decay=20.0, studies=("detection",), embedded=("images",))
    session = experiment._Session(of.cells[0], context(of))
    list(session.transition_runs())
    session.runs.step_losses[-1][-1] = np.nan
    session.runs.diverged_at = np.array([5, 5, 5, 5])
    truths = detection_study.truths(of.cells[0], session.runs)
    assert all(truth.learned is None and truth.transition is None for truth in truths)
    found = [e for e in session.detection() if isinstance(e, Record)]
    assert {r.value for r in found if r.metric == RUNS} == {0.0}
    assert all(r.reason for r in found if r.value is None)
