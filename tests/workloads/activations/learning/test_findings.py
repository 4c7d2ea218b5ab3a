"""What a summary of trainings says of the claims: hand-derived numbers, divergence, edges of the grid."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from lab.claims import claims
from lab.parameters import Plan
from lab.records import Measured, Record, StoredRecord
from lab.statistics import student_t_quantile
from lab.summary import summarise
from lab.verdicts import CONTRADICTED, INCONCLUSIVE, NOT_MEASURED, REPRODUCED, judge
from lab.workload import workload
from workloads.activations.implementations import role_of
from workloads.activations.learning import findings
from workloads.activations.learning.charts import charts
from workloads.activations.learning.names import (
    AGAINST_GELU,
    AS_PUBLISHED,
    CHOSEN_RATE,
    DIGITS,
    GELU_RATE,
    HELD_OUT_LOSS,
    OWN_RATE,
    PERMUTATION,
    PUBLISHED_LOSS,
    dimensions,
)

DECLARED = workload("activations")
PLAN = Plan.of(DECLARED.parameters, {"studies": ("learning",)})


def estimates(records):
    return summarise(DECLARED, PLAN, [StoredRecord(i, -1, record) for i, record in enumerate(records)])


def record(arm, recipe, metric, value, *, protocol="sound", task=DIGITS, depth=1, seed=None, reason="", unit="nats"):
    where = dimensions(task, depth)
    return Record(protocol, arm, role_of(arm), recipe, "cpu", "float32", metric, value, unit, seed=seed, reason=reason, dimensions=where)


def cell(depth, excess, low, high, reason="", edge=""):
    """One depth: GELU's held-out losses, and Phi6Simple above them at GELU's rate, in percent."""
    rows = [record("gelu_erf", OWN_RATE, HELD_OUT_LOSS, 0.1, depth=depth, seed=seed) for seed in range(5)]
    rows += [
        record("phi6", GELU_RATE, metric, value, depth=depth, reason=reason, unit="%")
        for metric, value in zip(AGAINST_GELU, (excess, low, high), strict=True)
    ]
    return [*rows, record("gelu_erf", OWN_RATE, CHOSEN_RATE, 0.01, depth=depth, reason=edge, unit="1")]


def drop_in(*cells):
    found = findings.measure(claims()["act-dropin"], estimates([row for rows in cells for row in rows]))
    (measured,) = [m for m in found if (m.protocol, m.comparison) == ("sound", "published")]
    return measured, judge(claims()["act-dropin"], measured)


def test_not_worse_at_every_depth_is_reproduced():
    measured, judgement = drop_in(*(cell(depth, 0.1, -0.5, 0.7) for depth in (1, 2, 4, 8)))
    assert judgement.verdict == REPRODUCED
    assert measured.ci_high == 0.7  # an intersection–union test: the upper ends need no adjustment
    assert measured.n == 5


def test_one_worse_depth_contradicts_and_its_lower_end_is_adjusted():
    measured, judgement = drop_in(cell(1, -20.0, -25.0, -15.0), cell(8, 500.0, 400.0, 600.0))
    assert judgement.verdict == CONTRADICTED
    assert measured.value == 500.0
    # Bonferroni for two cells, four degrees of freedom: t(1 − 0.05/4) = 3.495, t(1 − 0.05/2) = 2.776, so 500 − 100 · 3.495/2.776 = 374.1
    assert student_t_quantile(1 - 0.05 / 4, 4) == pytest.approx(3.495, abs=1e-3)
    assert measured.ci_low == pytest.approx(500 - 100 * 3.4954 / 2.7764, abs=0.05)
    assert "worst of 2" in measured.pair


def test_a_diverged_arm_contradicts_and_says_so():
    charged = "5 of 5 seeds diverged; charged the loss of guessing"
    _, judgement = drop_in(cell(1, 0.0, -0.1, 0.1), cell(8, 2200.0, 2100.0, 2300.0, reason=charged))
    assert judgement.verdict == CONTRADICTED
    assert "5 of 5 seeds diverged" in judgement.reason


def test_a_baseline_that_diverged_leaves_the_claim_open():
    reason = "the baseline diverged: there is nothing to compare with"
    good = [cell(depth, 0.0, -0.1, 0.1) for depth in (1, 2, 4)]
    _, judgement = drop_in(*good, cell(8, None, None, None, reason=reason))
    assert judgement.verdict == INCONCLUSIVE
    assert "1 of 4 depths could not be compared" in judgement.reason
    _, judgement = drop_in(cell(8, None, None, None, reason=reason))
    assert judgement.verdict == NOT_MEASURED
    assert "diverged" in judgement.reason


def test_shallow_models_alone_cannot_bear_out_any_depth_but_can_refute_it():
    assert drop_in(cell(1, 0.0, -0.1, 0.1))[1].verdict == INCONCLUSIVE
    assert drop_in(cell(1, 9.0, 8.0, 10.0))[1].verdict == CONTRADICTED


def test_a_rate_on_the_edge_of_its_grid_gives_no_verdict():
    edge = "grid edge: the best learning rate, 0.03, is the highest of 5 tried"
    assert drop_in(cell(8, 9.0, 8.0, 10.0, edge=edge))[1].verdict == INCONCLUSIVE


def test_a_flawed_cell_does_not_refute_beside_a_worse_one_without_flaws():
    # Depth 1 is worse for certain, but its rate lies on an edge; depth 8 has the largest excess, and is not known to be worse.
    edge = "grid edge: the best learning rate, 0.03, is the highest of 5 tried"
    _, judgement = drop_in(cell(1, 9.0, 8.0, 10.0, edge=edge), cell(8, 50.0, -10.0, 110.0))
    assert judgement.verdict == INCONCLUSIVE
    assert "grid edge" in judgement.reason


def test_one_cell_without_flaws_refutes_beside_a_flawed_one():
    edge = "grid edge: the best learning rate, 0.03, is the highest of 5 tried"
    measured, judgement = drop_in(cell(1, 9.0, 8.0, 10.0), cell(8, 50.0, 40.0, 60.0, edge=edge))
    assert judgement.verdict == CONTRADICTED
    assert measured.value == 9.0


def test_a_charge_that_equals_the_baselines_loss_bears_nothing_out():
    # Nobody has learned anything: the loss of guessing, charged to seeds that diverged, is no evidence of "no worse".
    charged = "2 of 5 seeds diverged; charged the loss of guessing"
    _, judgement = drop_in(cell(8, 0.1, -0.3, 0.5, reason=charged))
    assert judgement.verdict == INCONCLUSIVE
    assert "bound in its favour" in judgement.reason


def test_an_own_rate_at_which_reported_seeds_diverge_was_not_chosen_well():
    charged = "3 of 5 seeds diverged; charged the loss of guessing"
    rows = [replace(row, implementation=OWN_RATE) for row in cell(8, 900.0, 800.0, 1000.0, reason=charged)]
    for rate, verdict in ((0.3, INCONCLUSIVE), (None, CONTRADICTED)):  # None: it diverges at every rate, which speaks against it
        own = record("phi6", OWN_RATE, CHOSEN_RATE, rate, depth=8, reason="" if rate else "every learning rate diverged", unit="1")
        found = findings.measure(claims()["act-dropin"], estimates([*rows, own]))
        (measured,) = [m for m in found if (m.protocol, m.comparison) == ("sound", "best")]
        assert judge(claims()["act-dropin"], measured).verdict == verdict


def test_no_interval_says_why():
    why = "the baseline's mean is not distinguishable from 0: no interval of a ratio to it"
    _, judgement = drop_in(cell(8, 50.0, None, None, reason=why))
    assert judgement.verdict == INCONCLUSIVE
    assert why in judgement.reason


def test_worst_of_one_cell_keeps_its_interval():
    one = Measured("act-dropin", "sound", "published", AGAINST_GELU[0], 5.0, 4.0, 6.0, n=5)
    assert findings.worst([one], 8) == one


def published(losses, recipe=AS_PUBLISHED):
    return [
        record(arm, recipe, PUBLISHED_LOSS, value, protocol="published", task=PERMUTATION, seed=seed)
        for arm, values in losses.items()
        for seed, value in enumerate(values)
    ]


def test_published_loss_is_the_percentage_below_gelu():
    gelu = [3.36, 3.35, 3.37, 3.36, 3.35]
    rows = published({"gelu_erf": gelu, "phi6": [loss * 3.138 / 3.358 for loss in gelu]})
    found = findings.measure(claims()["act-loss-phi6"], estimates(rows))
    (measured,) = [m for m in found if m.value is not None]
    assert measured.value == pytest.approx(100 * (1 - 3.138 / 3.358))  # 6.55 %
    assert judge(claims()["act-loss-phi6"], measured).verdict == REPRODUCED
    assert [m.reason for m in found if m.protocol == "sound"] == [findings.NOT_CHOSEN["sound"]]


def test_published_runs_that_diverged_are_not_just_left_out():
    # Without the sixth run Phi6Simple would be 6.55 % below GELU in each of five runs: "reproduced" by a choice of the good ones.
    rows = published({"gelu_erf": [3.358] * 6, "phi6": [3.138, 3.139, 3.137, 3.138, 3.138]})
    claim = claims()["act-loss-phi6"]

    def verdict(rows):
        return next(judge(claim, m) for m in findings.measure(claim, estimates(rows)) if m.value is not None)

    assert verdict(rows).verdict == REPRODUCED
    lost = record("phi6", AS_PUBLISHED, PUBLISHED_LOSS, None, protocol="published", task=PERMUTATION, seed=5, reason="diverged at step 3")
    judgement = verdict([*rows, lost])
    assert judgement.verdict == INCONCLUSIVE
    assert "1 of 6 values missing (diverged at step 3)" in judgement.reason


def test_a_function_that_diverges_at_every_rate_is_named():
    where = {"protocol": "published", "task": PERMUTATION}
    tuned = record("phi6", OWN_RATE, CHOSEN_RATE, None, reason="every learning rate diverged", unit="1", **where)
    rows = [*published({"gelu_erf": [1.5] * 5}, OWN_RATE), tuned]
    (measured,) = [m for m in findings.measure(claims()["act-loss-phi6"], estimates(rows)) if m.protocol == "published"]
    judgement = judge(claims()["act-loss-phi6"], measured)
    assert judgement.verdict == NOT_MEASURED
    assert "every learning rate diverged" in judgement.reason


@pytest.mark.parametrize("claim_id", ["act-loss-phi6", "act-loss-zeta", "act-dropin"])
def test_nothing_trained_says_what_to_choose(claim_id):
    found = findings.measure(claims()[claim_id], [])
    assert {m.protocol for m in found} == {"published", "sound"}
    assert all(m.value is None and "Learning" in m.reason for m in found)


def test_a_mean_without_its_diverged_seeds_leaves_a_gap_in_the_curve():
    rows = [
        replace(record("phi6", OWN_RATE, "validation_loss", 1.0, seed=seed), dimensions=dimensions(DIGITS, 4, 0.1, 10)) for seed in (0, 1)
    ]
    lost = replace(
        record("phi6", OWN_RATE, "validation_loss", None, seed=2, reason="diverged at step 7"), dimensions=dimensions(DIGITS, 4, 0.1, 10)
    )
    (whole,) = [chart for chart in charts(estimates(rows)) if chart.key == "curves_digits"]
    (gap,) = [chart for chart in charts(estimates([*rows, lost])) if chart.key == "curves_digits"]
    assert whole.series[0].y == (1.0,)
    assert gap.series[0].y == (None,)
    assert math.isfinite(whole.series[0].y[0] or math.nan)
