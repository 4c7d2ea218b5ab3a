"""What a summary says of each activation claim: the right rows, the faster GELU, the cell that is judged."""

import pytest

from lab.claims import claims
from lab.records import Estimate
from workloads.activations.findings import measure, pairs


def estimate(arm, implementation, mean, *, baseline=("", ""), metric="latency_s", statistic="mean", protocol="sound", **changes):
    values = {
        "workload": "activations",
        "protocol": protocol,
        "arm": arm,
        "implementation": implementation,
        "baseline_arm": baseline[0],
        "baseline_implementation": baseline[1],
        "metric": metric,
        "statistic": statistic,
        "mean": mean,
        "ci_low": None if statistic == "exact" else mean * 0.99,
        "ci_high": None if statistic == "exact" else mean * 1.01,
        "n": 1 if statistic == "exact" else 10,
        "unit": "",
        "dimensions": {"elements": 1 << 22, "pass": "forward", "cache": "cold"},
        "device": "cpu",
        "dtype": "float32",
    }
    return Estimate(**(values | changes))


def summary_of(times, protocol="sound", **changes):
    """Means and every pair's ratio (baseline time / technique time) from {(arm, implementation): seconds}."""
    means = [estimate(arm, how, seconds, protocol=protocol, **changes) for (arm, how), seconds in times.items()]
    ratios = [
        estimate(
            t.arm, t.implementation, b.mean / t.mean, baseline=(b.arm, b.implementation), statistic="ratio", protocol=protocol, **changes
        )
        for t, b in pairs(means)
    ]
    return means + ratios


SOUND = {
    ("gelu_erf", "eager"): 3.0,
    ("gelu_tanh", "eager"): 2.0,
    ("gelu_tanh", "compiled"): 1.5,
    ("phi6", "eager"): 8.0,
    ("phi6", "compiled"): 1.0,
    ("copy", "eager"): 0.9,
}


def test_as_published_compares_eager_with_the_faster_eager_gelu():
    (published,) = [m for m in measure(claims()["act-speed-phi6"], summary_of(SOUND)) if m.comparison == "published"]
    assert published.value == 2.0 / 8.0  # the tanh form is the faster eager GELU
    assert "GELU" in published.pair
    assert "4,194,304" in published.pair


def test_best_compares_the_fastest_of_each_side_across_implementations():
    (best,) = [m for m in measure(claims()["act-speed-phi6"], summary_of(SOUND)) if m.comparison == "best"]
    assert best.value == 1.5 / 1.0
    assert best.hardware_class == "cpu"


def test_best_is_not_claimed_where_only_unfused_expressions_were_measured():
    times = {key: seconds for key, seconds in SOUND.items() if key[1] == "eager"}
    (best,) = [m for m in measure(claims()["act-speed-phi6"], summary_of(times)) if m.comparison == "best"]
    assert best.value is None
    assert "this run leaves them out" in best.reason
    failed = estimate("phi6", "compiled", 1.0, reason="no C++ compiler")
    failed = Estimate(
        **{name: getattr(failed, name) for name in failed.__slots__} | {"mean": None, "ci_low": None, "ci_high": None, "n": 0}
    )
    (best,) = [m for m in measure(claims()["act-speed-phi6"], [*summary_of(times), failed]) if m.comparison == "best"]
    assert "no C++ compiler" in best.reason


def test_the_published_benchmark_is_judged_apart_and_its_best_undoes_the_cube():
    times = {("gelu_tanh", "numpy"): 60.0, ("gelu_tanh", "numpy_product"): 1.2, ("phi6", "numpy"): 0.5, ("gelu_tanh", "framework"): 1.0}
    elements = {"elements": 1_000_000, "pass": "forward", "cache": "warm"}
    found = measure(claims()["act-speed-phi6"], summary_of(times, "published", dimensions=elements) + summary_of(SOUND))
    by_kind = {(m.protocol, m.comparison): m.value for m in found}
    assert by_kind == {
        ("published", "published"): 120.0,
        ("published", "best"): 1.2 / 0.5,  # NumPy against NumPy: PyTorch is shown beside it, not judged
        ("sound", "published"): 0.25,
        ("sound", "best"): 1.5,
    }


def test_the_largest_n_is_judged_and_fp32_before_narrower_types():
    small = summary_of(
        {("gelu_tanh", "eager"): 1.0, ("phi6", "eager"): 1.0}, dimensions={"elements": 1024, "pass": "forward", "cache": "cold"}
    )
    half = summary_of({("gelu_tanh", "eager"): 1.0, ("phi6", "eager"): 5.0}, dtype="bfloat16")
    large = summary_of({("gelu_tanh", "eager"): 1.0, ("phi6", "eager"): 4.0})
    values = {m.value for m in measure(claims()["act-speed-phi6"], small + half + large) if m.comparison == "published"}
    assert values == {0.25}


def test_forward_and_backward_says_nothing_of_a_forward_claim():
    both = summary_of(SOUND, dimensions={"elements": 1 << 22, "pass": "forward_backward", "cache": "cold"})
    assert [m.value for m in measure(claims()["act-speed-phi6"], both)] == [None, None]
    assert all("forward pass alone" in m.reason for m in measure(claims()["act-speed-phi6"], both))


COLD = {"elements": 1 << 22, "pass": "forward", "cache": "cold"}
WRONG = {
    ("gelu_erf", "eager"): 9.0,
    ("gelu_tanh", "eager"): 9.0,
    ("phi6", "eager"): 1.0,
    ("phi6", "fused"): 0.5,
    ("gelu_tanh", "fused"): 9.0,
}


def test_a_warm_cache_or_a_whole_ffn_never_decides_a_verdict():
    """Faster, larger and in a wider choice of kernels: still only the cold rows of the function alone count."""
    alone = measure(claims()["act-speed-phi6"], summary_of(SOUND))
    others = [{**COLD, "cache": "warm"}, {**COLD, "pass": "ffn"}, {**COLD, "pass": "ffn_widths"}]
    others += [{**other, "elements": 1 << 28} for other in others]
    rows = [row for other in others for row in summary_of(WRONG, dimensions=other)]
    for energy in (False, True):
        more = [row for other in others for row in summary_of(WRONG, dimensions=other, metric="energy_j")] if energy else []
        assert measure(claims()["act-speed-phi6"], [*rows, *more, *summary_of(SOUND)]) == alone
        assert measure(claims()["act-speed-phi6"], [*summary_of(SOUND), *rows, *more]) == alone


def test_kernels_of_other_cells_do_not_stand_in_for_a_best():
    """The cold cell has unfused expressions only; a fused kernel that was timed warm, or in a block, does not make its best known."""
    eager = {key: seconds for key, seconds in SOUND.items() if key[1] == "eager"}
    rows = summary_of(WRONG, dimensions={**COLD, "cache": "warm"}) + summary_of(WRONG, dimensions={**COLD, "pass": "ffn"})
    (best,) = [m for m in measure(claims()["act-speed-phi6"], summary_of(eager) + rows) if m.comparison == "best"]
    assert best.value is None
    assert "this run leaves them out" in best.reason


def test_warm_alone_is_not_measured_and_says_why():
    found = measure(claims()["act-speed-phi6"], summary_of(SOUND, dimensions={**COLD, "cache": "warm"}))
    assert [(m.comparison, m.value) for m in found] == [("published", None), ("best", None)]
    assert all("cold cache" in m.reason for m in found)


def test_a_whole_ffn_alone_says_nothing_of_a_forward_claim():
    found = measure(claims()["act-speed-phi6"], summary_of(SOUND, dimensions={**COLD, "pass": "ffn"}))
    assert [m.value for m in found] == [None, None]


def test_cold_comes_before_partial_and_partial_is_named():
    partial = summary_of(WRONG, dimensions={"elements": 1 << 28, "pass": "forward", "cache": "partial"})
    (published,) = [m for m in measure(claims()["act-speed-phi6"], partial + summary_of(SOUND)) if m.comparison == "published"]
    assert published.value == 0.25
    assert "partly" not in published.pair
    (published,) = [m for m in measure(claims()["act-speed-phi6"], partial) if m.comparison == "published"]
    assert published.value == 9.0
    assert "partly in the cache" in published.pair


def test_joules_of_the_same_pair_and_cell_are_told_beside_the_time():
    joules = summary_of({key: 2 * seconds for key, seconds in SOUND.items()}, metric="energy_j")
    elsewhere = summary_of(WRONG, metric="energy_j", dimensions={**COLD, "elements": 1024})
    by_kind = {m.comparison: m.pair for m in measure(claims()["act-speed-phi6"], elsewhere + summary_of(SOUND) + joules)}
    assert by_kind["published"].endswith("energy ratio 0.25 (0.247 to 0.253)")  # tanh GELU 4 J, Phi6Simple 16 J, ± 1 %
    assert by_kind["best"].endswith("energy ratio 1.5 (1.48 to 1.52)")
    assert "energy" not in measure(claims()["act-speed-phi6"], summary_of(SOUND))[0].pair


def test_a_block_is_compared_with_gelus_and_with_the_block_without_activation():
    times = {("gelu_erf", "eager"): 3.0, ("phi6", "eager"): 4.0, ("phi6", "compiled"): 2.5, ("no_activation", "eager"): 2.0}
    ratios = [e for e in summary_of(times, dimensions={**COLD, "pass": "ffn"}) if e.statistic == "ratio"]
    found = {((e.arm, e.implementation), e.baseline_arm): e.mean for e in ratios}
    assert found == {
        (("gelu_erf", "eager"), "no_activation"): 2 / 3,
        (("phi6", "eager"), "gelu_erf"): 3 / 4,
        (("phi6", "eager"), "no_activation"): 2 / 4,
        (("phi6", "compiled"), "gelu_erf"): 3 / 2.5,
        (("phi6", "compiled"), "no_activation"): 2 / 2.5,
    }


def test_a_compiled_block_is_compared_with_the_compiled_products():
    """A compiler may pad an odd width: that gain is not the activation's."""
    times = {("gelu_erf", how): 4.0 for how in ("eager", "compiled", "fused")}
    times |= {("no_activation", "eager"): 3.0, ("no_activation", "compiled"): 2.0}
    ratios = [e for e in summary_of(times, dimensions={**COLD, "pass": "ffn"}) if e.statistic == "ratio"]
    found = {e.implementation: e.baseline_implementation for e in ratios if e.baseline_arm == "no_activation"}
    assert found == {"eager": "eager", "compiled": "compiled", "fused": "eager"}


def test_widths_are_compared_with_the_standard_and_rounded_ones_with_the_exact():
    times = {("width_4x", "eager"): 4.0, ("width_exact", "eager"): 8.0, ("width_64", "eager"): 2.0}
    ratios = [e for e in summary_of(times, dimensions={**COLD, "pass": "ffn_widths"}) if e.statistic == "ratio"]
    found = {(e.arm, e.baseline_arm): e.mean for e in ratios}
    assert found == {("width_exact", "width_4x"): 0.5, ("width_64", "width_4x"): 2.0, ("width_64", "width_exact"): 4.0}


def test_a_drifting_ratio_carries_its_flaw():
    drifting = [e if e.statistic == "mean" else estimate_with_reason(e) for e in summary_of(SOUND)]
    assert all(m.flaws == ("drift: 7 % over the run",) for m in measure(claims()["act-speed-phi6"], drifting))


def estimate_with_reason(e):
    return estimate(
        e.arm,
        e.implementation,
        e.mean,
        baseline=(e.baseline_arm, e.baseline_implementation),
        statistic="ratio",
        reason="drift: 7 % over the run",
    )


def test_operations_are_a_reduction_in_percent():
    counts = [
        estimate(arm, how, value, metric="operations_per_element", statistic="exact", protocol=protocol)
        for protocol, how, arm, value in [
            ("published", "stated", "gelu_tanh", 14),
            ("published", "stated", "phi6", 4),
            ("published", "stated", "zeta_ln2", 3),
            ("sound", "literal", "gelu_tanh", 8),
            ("sound", "literal", "phi6", 7),
        ]
    ]
    phi6 = {m.protocol: m for m in measure(claims()["act-flops-phi6"], counts)}
    assert round(phi6["published"].value, 3) == 71.429  # 1 − 4/14
    assert phi6["sound"].value == 12.5  # 1 − 7/8
    assert phi6["sound"].exact
    (zeta,) = measure(claims()["act-flops-zeta"], counts)
    assert round(zeta.value, 3) == 78.571  # 1 − 3/14: not the 71 % that the source prints


def test_claims_about_losses_are_not_measured_and_say_why():
    for name in ("act-loss-phi6", "act-loss-zeta", "act-dropin"):
        found = measure(claims()[name], summary_of(SOUND))
        assert {m.protocol for m in found} == {"published", "sound"}
        assert all(m.value is None and "trains no model" in m.reason for m in found)


def test_a_sweep_that_ended_early_is_judged_by_what_it_has():
    # Cells in order: 65,536 in bf16, then it was cancelled before fp32 of that size; a smaller size has both.
    small = [summary_of(SOUND, dimensions={**COLD, "elements": 4096}, dtype=dtype) for dtype in ("bfloat16", "float32")]
    large = summary_of({("gelu_tanh", "eager"): 1.0, ("phi6", "eager"): 5.0}, dimensions={**COLD, "elements": 65536}, dtype="bfloat16")
    found = [m for m in measure(claims()["act-speed-phi6"], [*small[0], *small[1], *large]) if m.comparison == "published"]
    assert [m.value for m in found] == [0.2]


def test_leanest_expressions_are_compared_with_the_gelu_of_fewest_operations():
    counts = [
        estimate(arm, "fewest", value, metric="operations_per_element", statistic="exact")
        for arm, value in [("gelu_tanh", 8), ("gelu_erf", 5), ("phi6", 5), ("zeta_ln2", 3)]
    ]
    (phi6,) = measure(claims()["act-flops-phi6"], counts)
    assert (phi6.comparison, phi6.value) == ("best", 0.0)  # 5 against 5
    (zeta,) = measure(claims()["act-flops-zeta"], counts)
    assert zeta.value == pytest.approx(40)  # 3 against 5
