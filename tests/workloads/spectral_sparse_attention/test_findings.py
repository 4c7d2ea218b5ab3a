"""What a summary says of each claim: estimates made by hand, verdict-relevant values derived from them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from lab.claims import claims
from lab.energy import ENERGY
from lab.records import Estimate
from lab.verdicts import CONTRADICTED, INCONCLUSIVE, LARGER, NO_DIFFERENCE, SMALLER, judge
from workloads.spectral_sparse_attention.decision import by_source, decide, threshold
from workloads.spectral_sparse_attention.findings import band, best_pair, crossover, curvature, measure, pairs
from workloads.spectral_sparse_attention.parameters import nearest_root
from workloads.spectral_sparse_attention.series import (
    BOUND,
    DENSE,
    EAGER,
    FAST,
    FIDELITY,
    QUALITY,
    REWEIGHTED,
    SPECTRUM,
    SPEED,
    SSA,
    TABLE6,
    WINDOW,
    dimensions,
)


def estimate(
    part, arm, metric, mean, *, half=0.01, n=10, implementation="reference", baseline=("", ""), statistic="mean", seq_len=4096, **other
):
    """An estimate ± ``half`` (relative) at k = s = √N on planted clusters."""
    root = nearest_root(seq_len)
    data, setting = other.pop("data", "planted"), other.pop("setting", "")
    ends = (None, None) if statistic == "exact" or mean is None else sorted((mean * (1 - half), mean * (1 + half)))
    where = dimensions(part, data, seq_len, other.pop("k", root), other.pop("s", root), setting=setting)
    return Estimate(
        "spectral_sparse_attention", other.pop("protocol", "sound"), arm, implementation, *baseline, metric, statistic, mean, *ends,
        1 if statistic == "exact" else n, "1", other.pop("reason", ""), where, device="cuda:0", dtype="bfloat16",
    )  # fmt: skip


def race(n, eager_s, naive_s, fast_s, flash_s):
    """Times of one cell and their ratios."""
    times = {(SSA, EAGER): eager_s, (DENSE, EAGER): naive_s, (SSA, FAST): fast_s, (DENSE, "flash"): flash_s}
    found = [estimate(SPEED, arm, "latency_s", t, implementation=way, seq_len=n) for (arm, way), t in times.items()]
    for (arm, way), t in times.items():
        for (other, other_way), base in times.items():
            if arm == SSA and other == DENSE:
                found.append(
                    estimate(
                        SPEED, SSA, "latency_s", base / t, implementation=way, baseline=(DENSE, other_way), statistic="ratio", seq_len=n
                    )
                )
    return found


def of(claim_id, estimates):
    return {(m.protocol, m.comparison): m for m in measure(claims()[claim_id], estimates)}


def test_ssa_is_compared_with_dense_attention_and_with_rivals():
    speed = [estimate(SPEED, arm, "latency_s", 1.0) for arm in (SSA, DENSE)]
    assert pairs(speed) == [(speed[0], speed[1])]
    levels = [estimate(FIDELITY, arm, "output_cosine", 0.9) for arm in (SSA, WINDOW)]
    assert pairs(levels) == [(levels[0], levels[1])]
    unmeasured = [estimate(SPEED, SSA, "latency_s", 1.0), estimate(SPEED, DENSE, "latency_s", None)]
    assert pairs(unmeasured) == []


def test_a_speed_is_judged_as_published_and_best_against_best():
    found = of("ssa-speedup-4096", race(4096, eager_s=2.0, naive_s=4.0, fast_s=0.5, flash_s=1.5))
    assert found["published", "published"].value == pytest.approx(2.0)  # 4 / 2
    assert found["sound", "best"].value == pytest.approx(3.0)  # 1.5 / 0.5
    assert found["sound", "best"].hardware_class == "gpu"


def test_speeds_at_other_k_or_data_say_nothing_of_the_table():
    other = [estimate(SPEED, SSA, "latency_s", 2.0, implementation=EAGER, baseline=(DENSE, EAGER), statistic="ratio", k=7)]
    assert all(m.value is None and m.reason for m in measure(claims()["ssa-speedup-4096"], other))


def test_a_crossover_lies_between_the_lengths_that_hold_it():
    # Ratios ½ at 1024 and 2 at 4096, with 1 in the middle of the log scale: N = 2048.
    runs = race(1024, 2.0, 1.0, 2.0, 1.0) + race(4096, 1.0, 2.0, 1.0, 2.0)
    found = of("ssa-crossover", runs)["sound", "best"]
    assert found.value == pytest.approx(2048)
    assert (found.ci_low, found.ci_high) == (1024, 4096)
    none = of("ssa-crossover", race(512, 2.0, 1.0, 2.0, 1.0) + race(1024, 3.0, 2.0, 3.0, 2.0))["sound", "best"]
    assert none.value is None  # the claimed 1,500 lies beyond what was measured
    assert "begins below 1" in none.reason


def test_a_sweep_that_never_crosses_bounds_the_crossover():
    slower = of("ssa-crossover", race(1024, 2.0, 1.0, 2.0, 1.0) + race(4096, 3.0, 2.0, 3.0, 2.0))["published", "published"]
    assert (slower.value, slower.ci_low) == (4096, 4096)
    assert "lower bound" in slower.pair
    assert judge(claims()["ssa-crossover"], slower).verdict == LARGER
    alone = of("ssa-crossover", race(2048, 2.0, 1.0, 2.0, 1.0))["sound", "best"]
    assert alone.value == 2048  # beyond 1,500 + 10 %
    faster = of("ssa-crossover", race(512, 1.0, 2.0, 1.0, 2.0) + race(4096, 1.0, 2.0, 1.0, 2.0))["sound", "best"]
    assert faster.value == 512
    assert "upper bound" in faster.pair
    assert judge(claims()["ssa-crossover"], faster).verdict == SMALLER
    too_long = of("ssa-crossover", race(4096, 1.0, 2.0, 1.0, 2.0))["sound", "best"]
    assert too_long.value is None  # it may be faster from 1,500 on, or from anywhere below 4,096


def test_a_crossover_needs_both_sides_clearly():
    wide = estimate(SPEED, SSA, "latency_s", 1.2, half=0.5, statistic="ratio")
    low = estimate(SPEED, SSA, "latency_s", 0.5, statistic="ratio")
    assert crossover([(1024, low), (2048, wide)]) is None
    assert crossover([(1024, wide)]) is None


def test_the_exponent_is_fitted_through_the_longest_sequences():
    lengths = (512, 1024, 2048, 4096, 8192, 16384)
    # The shortest breaks the law n^1.5: it is left out.
    runs = [e for n in lengths for e in race(n, 1.0 if n == 512 else n**1.5, 1.0, n**1.5, 1.0)]
    found = of("ssa-order", runs)
    assert found["published", "published"].value == pytest.approx(1.5)
    assert found["sound", "best"].n == 5
    assert of("ssa-order", runs[: 8 * 3])["sound", "best"].value is None


def test_times_that_bend_have_no_exponent():
    lengths = (512, 1024, 2048, 4096, 8192)
    # A fixed cost as large as n^1.5 at 4,096 hides most of the growth: far less than n^1.5, and rising.
    hidden = [e for n in lengths for e in race(n, n**1.5 + 4096**1.5, 1.0, n**1.5, 1.0)]
    found = of("ssa-order", hidden)["published", "published"]
    assert found.value < 1.5
    assert "rises with N" in found.flaws[0]
    assert judge(claims()["ssa-order"], found).verdict == INCONCLUSIVE
    # The same bend on top of n^2.5 could only make it worse: the verdict stands.
    worse = of("ssa-order", [e for n in lengths for e in race(n, n**2.5 * (1 + n / 1000), 1.0, 1.0, 1.0)])["published", "published"]
    assert worse.flaws == ()
    assert judge(claims()["ssa-order"], worse).verdict == CONTRADICTED


def test_the_bend_is_that_of_a_parabola_and_noise_is_none():
    lengths = (128, 256, 512, 1024, 2048)
    # ln y = 0.3 (ln x)²: the exponent changes by 0.6 for a factor e.
    assert curvature([(n, math.exp(0.3 * math.log(n) ** 2)) for n in lengths]) == pytest.approx(0.6)
    assert curvature([(n, n**1.5) for n in lengths]) is None
    assert curvature([(n, n**1.5 * (1 + wobble)) for n, wobble in zip(lengths, (0.02, -0.03, 0.01, 0.03, -0.02), strict=True)]) is None


def test_a_slow_down_says_what_larger_means():
    found = of("ssa-speedup-512", race(512, eager_s=20.0, naive_s=2.0, fast_s=1.0, flash_s=2.0))
    assert judge(claims()["ssa-speedup-512"], found["published", "published"]).verdict == LARGER  # 0.1 where 0.68 is claimed
    assert "slower still" in found["published", "published"].pair
    assert judge(claims()["ssa-speedup-512"], found["sound", "best"]).verdict == CONTRADICTED  # 2 times as fast
    assert "slow-down" not in of("ssa-speedup-4096", race(4096, 1.0, 2.0, 1.0, 2.0))["sound", "best"].pair


def test_causal_times_say_nothing_of_the_table():
    causal = [replace(e, dimensions={**e.dimensions, "setting": "causal"}) for e in race(4096, 2.0, 4.0, 0.5, 1.5)]
    assert all(m.value is None for m in measure(claims()["ssa-speedup-4096"], causal))


def test_the_best_pair_comes_from_one_cell():
    # At k = 64 SSA takes 1 s beside 3 s; at k = 32 it takes 2 s beside 2 s: the pair is 3 / 1, not 2 / 1.
    def other_k(e):
        return replace(e, dimensions={**e.dimensions, "clusters": 32})

    slow = [other_k(e) for e in race(4096, 9.0, 9.0, 2.0, 2.0)]
    assert best_pair([*slow, *race(4096, 9.0, 9.0, 1.0, 3.0)], "latency_s").mean == pytest.approx(3.0)


def test_gains_that_multiply_give_1():
    # Eager SSA is 4 times naive, fused dense 10 times naive: together 40 times would be 1; 20 times is ½.
    naive = 40.0
    found = measure(claims()["ssa-flash"], race(4096, naive / 4, naive, naive / 20, naive / 10))
    assert found[0].value == pytest.approx(0.5)


def test_saved_percent_follow_from_the_ratio():
    at_32k = race(32768, 4.0, 4.0, 1.0, 2.0)
    joules = estimate(SPEED, SSA, ENERGY, 4.0, implementation=FAST, baseline=(DENSE, "flash"), statistic="ratio", seq_len=32768)
    found = measure(claims()["ssa-savings-32k"], [*at_32k, joules])[0]
    assert found.value == pytest.approx(75.0)  # a quarter of the energy
    assert found.ci_low < 75 < found.ci_high
    nothing = measure(claims()["ssa-savings-layer"], at_32k)[0]
    assert nothing.value is None
    assert nothing.reason


def test_cells_that_chose_the_settings_are_not_judged_at_them():
    searched = [
        estimate(TABLE6, SSA, "output_cosine", 0.9, protocol="published", setting="searched: spread 0.1", seq_len=n) for n in (512, 1024)
    ]
    searched.append(estimate(TABLE6, SSA, "search_distance", 0.1, statistic="exact", setting="searched: spread 0.1", seq_len=512))
    chosen = measure(claims()["ssa-cosine-512"], searched)[0]
    assert chosen.value is None
    assert "used to choose" in chosen.reason
    judged = measure(claims()["ssa-cosine-1024"], searched)[0]
    assert judged.value == pytest.approx(0.9)
    assert judged.flaws == ("settings searched: spread 0.1",)
    # A search that ends on the edge of its grid settles nothing.
    on_edge = [replace(e, reason="spread 1 on the edge") if e.metric == "search_distance" else e for e in searched]
    doubtful = measure(claims()["ssa-cosine-1024"], on_edge)[0]
    assert "spread 1 on the edge" in doubtful.flaws
    assert judge(claims()["ssa-cosine-1024"], doubtful).verdict == INCONCLUSIVE


def test_levels_stand_for_algorithm_2_and_for_reweighted_samples():
    levels = [
        estimate(SPECTRUM, SSA, "mixing_ratio", 20.0, n=5, protocol="published"),
        estimate(SPECTRUM, REWEIGHTED, "mixing_ratio", 1.0, n=5),
    ]
    found = of("ssa-mixing", levels)
    assert (found["published", "published"].value, found["sound", "best"].value) == (20.0, 1.0)
    reason = estimate(SPECTRUM, SSA, "mixing_ratio", None, reason="a causal walk has no mixing time")
    assert of("ssa-mixing", [reason])["published", "published"].reason == "a causal walk has no mixing time"


def test_the_gradient_is_judged_by_its_worst_part():
    values = {"gradient_cosine_q": 0.8, "gradient_cosine_k": 0.7, "gradient_cosine_v": 0.99}
    found = of("ssa-gradient", [estimate(FIDELITY, SSA, metric, value) for metric, value in values.items()])
    assert found["published", "published"].value == 0.7
    assert found["sound", "best"].value is None


def test_the_fitted_exponent_goes_to_the_bound():
    found = of("ssa-bound", [estimate(BOUND, REWEIGHTED, "sine_exponent", -0.5)])
    assert found["sound", "best"].value == -0.5
    assert found["sound", "best"].ci_low < found["sound", "best"].ci_high


def test_a_band_of_q_is_only_judged_by_data_that_lie_in_it():
    assert [band(q) for q in (0.05, 0.1, 0.2, 0.3, 0.31)] == ["low", "mid", "mid", "mid", "high"]
    levels = [
        estimate(QUALITY, DENSE, "quality", 0.5, setting="a"),
        estimate(QUALITY, SSA, "output_cosine", 0.9, setting="a"),
        estimate(QUALITY, DENSE, "quality", 0.3, setting="b"),  # its interval reaches over the border
        estimate(QUALITY, SSA, "output_cosine", 0.4, setting="b"),
    ]
    assert measure(claims()["ssa-quality-high-cosine"], levels)[0].value == 0.9
    middle = measure(claims()["ssa-quality-mid-cosine"], levels)[0]
    assert middle.value is None
    assert "Q = 0.50, 0.30" in middle.reason
    assert "figure 3" in measure(claims()["ssa-quality-high-speedup"], levels)[0].reason


def test_a_band_of_q_is_judged_by_the_data_set_that_bears_it_out_least():
    def low(setting, cosine):
        return [
            estimate(QUALITY, DENSE, "quality", 0.01, setting=setting),
            estimate(QUALITY, SSA, "output_cosine", cosine, setting=setting),
        ]

    # Claimed for every Q < 0.1: a cosine below 0.70. One data set with 0.99 refutes it, whatever the others say.
    found = measure(claims()["ssa-quality-low-cosine"], low("a", 0.5) + low("b", 0.99) + low("c", 0.6))[0]
    assert found.value == 0.99
    assert "of 3 data sets" in found.pair
    assert judge(claims()["ssa-quality-low-cosine"], found).verdict == NO_DIFFERENCE
    high = [estimate(QUALITY, DENSE, "quality", 0.5, setting=s) for s in "ab"]
    high += [estimate(QUALITY, SSA, "output_cosine", c, setting=s) for s, c in (("a", 0.99), ("b", 0.87))]
    assert measure(claims()["ssa-quality-high-cosine"], high)[0].value == 0.87


def test_a_speed_is_judged_by_the_q_of_the_same_length():
    speed = estimate(
        QUALITY, SSA, "latency_s", 2.0, implementation=EAGER, baseline=(DENSE, EAGER), statistic="ratio", setting="a", seq_len=4096
    )
    here = measure(claims()["ssa-quality-high-speedup"], [estimate(QUALITY, DENSE, "quality", 0.5, setting="a"), speed])[0]
    assert here.value == 2.0
    shorter = estimate(QUALITY, DENSE, "quality", 0.5, setting="a", seq_len=512)
    elsewhere = measure(claims()["ssa-quality-high-speedup"], [shorter, speed])[0]
    assert elsewhere.value is None
    assert "at N = 512" in elsewhere.reason


def test_values_missing_among_others_leave_a_level_open():
    some = estimate(SPECTRUM, SSA, "mixing_ratio", 1.0, n=7, protocol="published", reason="3 of 10 values missing (one does not mix)")
    found = of("ssa-mixing", [some])["published", "published"]
    assert judge(claims()["ssa-mixing"], found).verdict == INCONCLUSIVE


def test_every_claim_says_why_it_was_not_measured():
    for claim in claims().values():
        if claim.technique == "spectral_sparse_attention" and not claim.is_table:
            found = measure(claim, [])
            assert found
            assert all(m.value is None and m.reason for m in found)


def test_the_decision_follows_q_and_what_was_measured():
    assert by_source(0.4, 4096).startswith("SSA")
    assert by_source(0.05, 4096).startswith("dense")
    assert by_source(0.2, 4096).startswith("a hybrid")
    assert by_source(0.9, 1024).startswith("dense")
    q = estimate(SPECTRUM, DENSE, "quality", 0.4)
    near = estimate(FIDELITY, SSA, "output_cosine", 0.95)
    far = estimate(FIDELITY, SSA, "output_cosine", 0.5)
    faster, slower = race(4096, 2.0, 4.0, 1.0, 2.0), race(4096, 4.0, 4.0, 3.0, 2.0)
    assert decide([]) is None
    assert decide([q, near, *faster]).measured.startswith("SSA, because")
    assert decide([q, far, *faster]).measured.startswith("dense attention, because the cosine")
    assert decide([q, near, *slower]).measured.startswith("dense attention, because the fastest SSA")
    assert decide([q]).measured.startswith("nothing yet")


def test_the_measured_threshold_is_the_lowest_q_above_which_all_cosines_are_good():
    def data(setting, q, cosine):
        return [estimate(QUALITY, DENSE, "quality", q, setting=setting), estimate(QUALITY, SSA, "output_cosine", cosine, setting=setting)]

    assert threshold(data("a", 0.05, 0.7) + data("b", 0.2, 0.9) + data("c", 0.5, 0.99)) == 0.2
    assert threshold(data("a", 0.05, 0.9) + data("b", 0.2, 0.6)) is None
    assert threshold(data("a", 0.05, 0.9)) is None
    assert math.isclose(threshold(data("a", 0.01, 0.95) + data("b", 0.3, 0.9)), 0.01)


@pytest.mark.parametrize(("data", "said"), [("planted", "generated tokens"), ("text", "")])
def test_the_text_models_data_is_no_evidence_of_what_generated_tokens_showed(data, said):
    speed = [replace(e, dimensions={**e.dimensions, "data": data}) for e in race(4096, 1.0, 2.0, 0.5, 1.0)]
    text = [estimate("text", SSA, "perplexity", 5.0, data="text")]
    assert {m.data for m in measure(claims()["ssa-speedup-4096"], [*speed, *text])} == {said}
