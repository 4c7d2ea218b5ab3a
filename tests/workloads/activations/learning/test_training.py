"""The trainings themselves at tiny sizes: shared stream, pairing, seeds apart, divergence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.parameters import ParameterError, Plan
from lab.records import DataUsed, Record
from lab.workload import Context, workload
from workloads.activations.learning import costs, published, sound
from workloads.activations.learning.names import (
    AGAINST_GELU,
    AS_PUBLISHED,
    GELU_RATE,
    HELD_OUT_LOSS,
    LONGER,
    OWN_RATE,
    PERMUTATION,
    PUBLISHED_LOSS,
    SAME_START,
    TEXT,
    XOR,
)
from workloads.activations.learning.tasks import task

DECLARED = workload("activations")
TINY = {
    "studies": ("learning",),
    "functions": ("gelu_erf", "phi6", "zeta_ln2"),
    "steps": 20,
    "width": 8,
    "points": 2,
    "rates": 3,
    "batch_size": 8,
    "seq_len": 8,
}


def parameters(**values):
    return Plan.of(DECLARED.parameters, {**TINY, **values}).cells[0]


@pytest.fixture
def context(tmp_path):
    return Context("cpu", 0, 1, "custom", 1, str(tmp_path), Plan.of(DECLARED.parameters, TINY))


def test_as_published_every_function_starts_elsewhere_and_the_first_as_in_the_repaired_run(context):
    short = replace(published.PROTOCOLS[1], steps=3)
    params = parameters()
    losses = {}
    for recipe in (AS_PUBLISHED, SAME_START):
        events = published._repeated(short, recipe, params.reported_seeds, short.steps, params, context)
        losses |= {(e.arm, e.implementation, e.seed): e.value for e in events if isinstance(e, Record)}
    for seed in params.reported_seeds:
        assert losses["gelu_erf", AS_PUBLISHED, seed] == losses["gelu_erf", SAME_START, seed]
        assert losses["phi6", AS_PUBLISHED, seed] != losses["phi6", SAME_START, seed]


def test_the_shared_stream_goes_on_from_function_to_function():
    protocol = published.PROTOCOLS[0]
    first = published._stream(protocol, ("gelu_erf", "phi6"), 3)
    other = published._stream(protocol, ("phi6", "gelu_erf"), 3)
    assert np.array_equal(first.inputs, other.inputs)
    assert np.array_equal(first.weights["gelu_erf"][0], other.weights["phi6"][0])  # what comes first draws the same, whatever it is called
    assert not np.array_equal(first.weights["phi6"][0], first.weights["gelu_erf"][0])


def test_the_published_loss_is_the_mean_of_the_last_steps(context):
    protocol = replace(published.PROTOCOLS[0], steps=6, last_steps=2, draw=lambda rng: published.toy.batches(rng, 2))
    params = parameters(functions=("gelu_erf", "phi6"))
    seeds = params.reported_seeds[:1]
    (loss,) = [
        e.value
        for e in published._repeated(protocol, SAME_START, seeds, 6, params, context)
        if isinstance(e, Record) and e.metric == PUBLISHED_LOSS and e.arm == "gelu_erf"
    ]
    steps = [
        e.value
        for e in published._repeated(protocol, LONGER, seeds, 6, params, context)  # every step is a point of so short a curve
        if isinstance(e, Record) and e.arm == "gelu_erf"
    ]
    assert loss == pytest.approx(sum(steps[-2:]) / 2)
    assert protocol.task == PERMUTATION


def test_a_comparison_is_paired_and_tuned_on_other_seeds(context):
    params = parameters()
    events = list(sound.comparison(task(XOR, 1, params, context), params, context))
    records = [e for e in events if isinstance(e, Record)]
    arms = {(r.arm, r.implementation) for r in records if r.metric == HELD_OUT_LOSS}
    assert arms == {("gelu_erf", OWN_RATE)} | {(arm, recipe) for arm in ("phi6", "zeta_ln2") for recipe in (OWN_RATE, GELU_RATE)}
    assert {r.seed for r in records if r.metric == HELD_OUT_LOSS} == set(params.reported_seeds)
    assert not set(params.reported_seeds) & set(params.tuning_seeds_used)
    assert all(set(r.dimensions) == set(DECLARED.dimensions) and r.metric in DECLARED.metrics and r.whole_run for r in records)
    excess = {(r.arm, r.implementation): r.value for r in records if r.metric == AGAINST_GELU[0]}
    means = {arm: np.mean([r.value for r in records if r.metric == HELD_OUT_LOSS and (r.arm, r.implementation) == arm]) for arm in arms}
    for arm, percent in excess.items():
        assert percent == pytest.approx(100 * (means[arm] / means["gelu_erf", OWN_RATE] - 1))


def test_diverged_seeds_are_charged_and_not_dropped(context):
    params = parameters()
    chosen = task(XOR, 1, params, context)
    items = np.full((5, 50), 0.1)
    charged = np.full((5, 50), chosen.guess_nats)
    half = np.where(np.arange(5)[:, None] < 2, charged, items)
    diverged = np.arange(5) < 2
    gelu = sound.Trained("gelu_erf", OWN_RATE, items, np.zeros(5, dtype=bool))
    phi6 = sound.Trained("phi6", GELU_RATE, half, diverged)
    records = list(sound._results([gelu, phi6], chosen, params, context))
    value = next(r for r in records if (r.arm, r.implementation, r.metric) == ("phi6", GELU_RATE, AGAINST_GELU[0]))
    # Two of five seeds at ln 2, three at 0.1: mean 0.4 · 0.6931 + 0.6 · 0.1 = 0.33726, 237.26 % above 0.1.
    assert value.value == pytest.approx(237.26, abs=0.01)
    assert "2 of 5 seeds diverged" in value.reason
    # Phi6Simple has no arm at its own rate: every rate diverged, which is charged for all seeds.
    never = next(r for r in records if (r.arm, r.implementation, r.metric) == ("phi6", OWN_RATE, AGAINST_GELU[0]))
    assert never.value == pytest.approx(100 * (np.log(2) / 0.1 - 1))
    assert "5 of 5 seeds diverged" in never.reason


def test_a_baseline_that_diverged_is_no_baseline(context):
    params = parameters()
    chosen = task(XOR, 1, params, context)
    items = np.full((5, 50), 0.1)
    gelu = sound.Trained("gelu_erf", OWN_RATE, items, np.arange(5) < 1)
    phi6 = sound.Trained("phi6", OWN_RATE, items, np.zeros(5, dtype=bool))
    records = [r for r in sound._results([gelu, phi6], chosen, params, context) if r.metric in AGAINST_GELU]
    assert records
    assert all(r.value is None and "diverged" in r.reason for r in records)


def test_the_character_model_says_which_text_it_learned(context):
    chosen = task(TEXT, 1, parameters(batch_size=2), context)
    assert isinstance(chosen.used, DataUsed)
    assert len(chosen.used.sha256) == 64
    model, points = chosen.recipe("phi6").train([0], [1e-3])
    assert [point.step for point in points] == [0, 20]
    assert 0 < float(chosen.validation([0])(model)["loss"][0]) < 2 * chosen.guess_nats


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"depths": "0"}, "depths"),
        ({"batch_size": "5000"}, "batch_size"),
        ({"functions": "phi6,zeta_ln2"}, "functions"),
        ({"seeds": "4"}, "seeds"),
        ({"rates": "2"}, "rates"),
        ({"width": "33"}, "width"),
        ({"trainings": "everything"}, "trainings"),
    ],
)
def test_bad_input_names_its_field(values, field):
    with pytest.raises(ParameterError) as error:
        DECLARED.plan("quick", "cpu", {"studies": "learning", **values})
    assert error.value.name == field


@pytest.mark.parametrize(("kind", "budget_s"), [("cpu", 30), ("cuda", 15)])
def test_the_quick_preset_keeps_to_its_time_when_it_learns_alone(kind, budget_s):
    plan = DECLARED.plan("quick", kind, {"studies": "learning"})
    assert costs.duration_s(plan.cells[0], kind) == pytest.approx(DECLARED.duration_s(plan, kind))
    assert 0 < DECLARED.duration_s(plan, kind) <= budget_s


def test_shares_of_the_time_add_up():
    assert sum(costs.sound_shares(parameters(trainings=("mlp", "character")), "cpu").values()) == pytest.approx(1)
    assert costs.sound_shares(parameters(trainings=("published",)), "cpu") == {}
