"""What a summary says of each claim: relative and absolute differences are not mixed up, and nothing is judged that was not measured."""

from __future__ import annotations

import pytest

from lab.claims import claims
from lab.records import Record, StoredRecord
from lab.summary import summarise
from lab.verdicts import judge
from workloads.moe_routing.experiment import counted
from workloads.moe_routing.findings import measure, pairs
from workloads.moe_routing.names import (
    BATCHED,
    FINAL_LOSS,
    GAIN,
    LAYER,
    LOAD_ENTROPY,
    LOSS,
    LOSS_REDUCTION,
    RELATIVE_GAIN,
    ROUTING,
    TEST_ACCURACY,
    TRAIN_LOSS,
    dimensions_of,
    high,
    low,
)
from workloads.moe_routing.parameters import MoeRoutingParameters
from workloads.moe_routing.spec import WORKLOAD

PLAN = WORKLOAD.plan("quick", "cpu")


def record(arm, metric, value, unit, *, part=ROUTING, seed=None, protocol="published", **at):
    role = "technique" if arm in ("egyptian", "small_moe") else "baseline"
    dimensions = dimensions_of(part, data="spiral", experts=3 if part == ROUTING else "", **at)
    return Record(protocol, arm, role, BATCHED, "cpu", "float32", metric, value, unit, seed=seed, dimensions=dimensions, whole_run=True)


def summary(records):
    return summarise(WORKLOAD, PLAN, [StoredRecord(place, -1, one) for place, one in enumerate(records)])


def measured(claim_id, records):
    return measure(claims()[claim_id], summary(records))


def test_the_egyptian_claim_is_relative():
    # 27.2 % against 25.0 %: 2.2 points, which is 8.8 % of 25.0
    rows = [record("egyptian", TEST_ACCURACY, 27.2, "%", seed=seed, step=500) for seed in range(5)]
    rows += [record("equal", TEST_ACCURACY, 25.0, "%", seed=seed, step=500) for seed in range(5)]
    for metric, unit, value in ((RELATIVE_GAIN, "%", 8.8), (GAIN, "points", 2.2)):
        for name, of in ((metric, value), (low(metric), 0.98 * value), (high(metric), 1.02 * value)):
            rows.append(record("egyptian", name, of, unit))
    found, none = measured("moe-egyptian", rows)
    assert (found.protocol, found.value, found.ci_low, found.n) == ("published", 8.8, pytest.approx(8.624), 5)
    assert "27.20 % against 25.00 %" in found.pair
    assert "+2.20 points" in found.pair
    verdict = judge(claims()["moe-egyptian"], found).verdict  # at most: the source leaves open how its spiral winds
    assert verdict.startswith("reproducible with settings Egyptian 1/2, 1/3, 1/6 against equal weights, spiral, 3 experts")
    assert (none.protocol, none.value) == ("sound", None)
    assert none.reason


def test_a_choice_at_the_edge_of_its_grid_is_a_flaw():
    rows = [record("egyptian", TEST_ACCURACY, 50.0, "%", seed=seed, step=500, protocol="sound") for seed in range(5)]
    for name, value in ((RELATIVE_GAIN, 8.8), (low(RELATIVE_GAIN), 8.7), (high(RELATIVE_GAIN), 8.9)):
        rows.append(record("egyptian", name, value, "%", protocol="sound", flaw="grid edge: the best is at the edge"))
    found = measured("moe-egyptian", rows)[1]
    assert found.flaws == ("grid edge: the best is at the edge",)
    assert judge(claims()["moe-egyptian"], found).verdict == "inconclusive"


@pytest.mark.parametrize(("protocol", "steps", "judged"), [("published", 600, False), ("sound", 600, True), ("sound", 400, False)])
def test_a_training_of_another_length_says_nothing_of_the_claim(protocol, steps, judged):
    rows = [record("egyptian", TEST_ACCURACY, 27.2, "%", seed=seed, step=steps, protocol=protocol) for seed in range(5)]
    for name, value in ((RELATIVE_GAIN, 0.0), (low(RELATIVE_GAIN), -0.1), (high(RELATIVE_GAIN), 0.1)):
        rows.append(record("egyptian", name, value, "%", protocol=protocol))
    (found,) = (m for m in measured("moe-egyptian", rows) if m.protocol == protocol)
    verdict = judge(claims()["moe-egyptian"], found)
    assert verdict.verdict == ("no difference" if judged else "inconclusive")
    assert (f"trained {steps} steps, not the published 500" in verdict.reason) is not judged


def test_differences_have_a_real_minus_sign():
    rows = [record("egyptian", TEST_ACCURACY, 24.75, "%", seed=seed, step=500) for seed in range(5)]
    rows += [record("egyptian", name, value, unit) for name, value, unit in ((RELATIVE_GAIN, -1.0, "%"), (GAIN, -0.25, "points"))]
    assert "which is −0.25 points" in measured("moe-egyptian", rows)[0].pair


def test_entropy_after_training_and_before():
    rows = [
        record("egyptian", LOAD_ENTROPY, value, "1", seed=seed, step=step) for step, value in ((0, 0.97), (500, 0.98)) for seed in range(5)
    ]
    found = measured("moe-entropy", rows)[0]
    assert found.value == pytest.approx(0.98)
    assert "before any training" in found.pair
    assert "0.970" in found.pair


def test_an_interval_of_an_entropy_ends_at_its_maximum():
    # mean 0.996, standard deviation 0.00894 over five seeds: 0.996 ± 2.776 · 0.00894/√5 = 0.985 to 1.007
    rows = [record("egyptian", LOAD_ENTROPY, value, "1", seed=seed, step=500) for seed, value in enumerate((0.98, 1.0, 1.0, 1.0, 1.0))]
    found = measured("moe-entropy", rows)[0]
    assert (found.ci_low, found.ci_high) == (pytest.approx(0.9849, abs=1e-4), 1.0)


def test_counts_come_from_the_layers():
    rows = list(counted(MoeRoutingParameters()))
    published, sound = measured("moe-active", rows)
    assert published.exact
    assert published.value == sound.value == pytest.approx(64.73, abs=0.005)  # 1 − 23,296/66,048
    assert "51.9 % fewer" in published.pair  # 1 − 39,680/82,432
    assert judge(claims()["moe-active"], published).verdict == "reproduced"
    inactive, none = measured("moe-inactive", rows)
    assert (inactive.value, inactive.exact, none.value) == (0.0, True, None)
    assert judge(claims()["moe-inactive"], inactive).verdict == "no difference"


def test_loss_has_the_seeds_of_its_models():
    rows = [record("small_moe", TRAIN_LOSS, 1.0, "nats", part=LOSS, seed=seed, step=500) for seed in range(5)]
    rows += [record("standard_moe", TRAIN_LOSS, 1.1, "nats", part=LOSS, seed=seed, step=500) for seed in range(5)]
    for name, value in ((LOSS_REDUCTION, 9.1), (low(LOSS_REDUCTION), 9.0), (high(LOSS_REDUCTION), 9.2)):
        rows.append(record("small_moe", name, value, "%", part=LOSS))
    found = measured("moe-loss", rows)[0]
    assert (found.n, found.value, found.data) == (5, 9.1, "spiral")
    assert " against 1.1000" not in found.pair  # means over half of the training, not what the reduction was computed from
    for arm, value in (("small_moe", 1.0), ("standard_moe", 1.1)):
        rows += [record(arm, FINAL_LOSS, value, "nats", part=LOSS, seed=seed, step=500) for seed in range(5)]
    assert "final training loss 1.0000 against 1.1000 nats" in measured("moe-loss", rows)[0].pair


def test_layers_are_compared_with_their_own_dense_layer():
    means = [
        estimate
        for arm in ("small_moe", "standard_moe", "dense_ffn_active", "dense_ffn_active_small")
        for estimate in summary([record(arm, "latency_s", 1.0, "s", part=LAYER)])
    ]
    assert {(a.arm, b.arm) for a, b in pairs(means)} == {
        ("small_moe", "dense_ffn_active_small"),
        ("standard_moe", "dense_ffn_active"),
        ("small_moe", "standard_moe"),
    }
