"""What the figures of each mode show, with numbers worked out by hand; nothing, some and all of a summary."""

import math

from lab.records import Chart, Estimate
from workloads.activations import energy_charts, ffn_charts
from workloads.activations.charts import charts
from workloads.activations.findings import LABELS, pairs

CELL = {"elements": 1 << 22, "pass": "forward", "cache": "cold"}
ALWAYS = {"curve_value", "curve_derivative", "suppression"}  # of the functions themselves


def estimate(arm, implementation, mean, *, baseline=("", ""), metric="latency_s", statistic="mean", **changes):
    values = {
        "workload": "activations",
        "protocol": "sound",
        "arm": arm,
        "implementation": implementation,
        "baseline_arm": baseline[0],
        "baseline_implementation": baseline[1],
        "metric": metric,
        "statistic": statistic,
        "mean": mean,
        "ci_low": None if statistic == "exact" else mean * 0.9,
        "ci_high": None if statistic == "exact" else mean * 1.1,
        "n": 10,
        "unit": "",
        "dimensions": CELL,
        "device": "cuda:0",
        "dtype": "float32",
    }
    return Estimate(**(values | changes))


def summary_of(values, metric="latency_s", **changes):
    means = [estimate(arm, how, value, metric=metric, **changes) for (arm, how), value in values.items()]
    ratios = [
        estimate(t.arm, t.implementation, b.mean / t.mean, baseline=(b.arm, b.implementation), metric=metric, statistic="ratio", **changes)
        for t, b in pairs(means)
    ]
    return means + ratios


def drawn(found: list[Chart]) -> dict[str, Chart]:
    for chart in found:
        assert chart.alt
        for series in chart.series:
            assert len(series.y) == len(series.x)
            for side in (series.y, series.low, series.high):
                assert len(side) in (0, len(series.x))
                assert all(value is None or math.isfinite(value) for value in side)
            for low, value, high in zip(series.low, series.y, series.high, strict=False):  # where there are intervals
                assert low is None or low <= value <= high
    assert len({chart.key for chart in found}) == len(found)
    return {chart.key: chart for chart in found}


def points(chart: Chart, name: str) -> dict:
    (series,) = [series for series in chart.series if series.name == LABELS.get(name, name)]
    return dict(zip(series.x, zip(series.low, series.y, series.high, strict=True), strict=True))


BLOCK = {
    ("gelu_erf", "eager"): 5.0e-3,
    ("phi6", "eager"): 8.0e-3,
    ("gelu_erf", "fused"): 4.4e-3,
    ("phi6", "fused"): 4.0e-3,
    ("no_activation", "eager"): 4.0e-3,
}
FFN = {**CELL, "pass": "ffn"}
WIDTHS = {**CELL, "pass": "ffn_widths"}


def test_the_functions_themselves_need_no_measurement():
    assert set(drawn(charts([], []))) == ALWAYS


def test_the_activation_takes_what_the_block_without_it_does_not():
    found = drawn(charts(summary_of(BLOCK, dimensions=FFN), []))
    share = points(found["ffn_share"], "eager")
    # Two products alone 4 ms: of 5 ms a fifth, of 8 ms a half is the activation's. The ratio 0.8 ± 10 % gives 1 − 0.88 and 1 − 0.72.
    low, value, high = share[LABELS["gelu_erf"]]
    assert [round(v, 6) for v in (low, value, high)] == [12.0, 20.0, 28.0]
    assert round(share[LABELS["phi6"]][1], 6) == 50.0
    assert found["ffn_time"].limits == {"the two products alone": 4.0e-3}


def test_blocks_are_compared_best_against_best():
    (phi6,) = ffn_charts.best_blocks(summary_of(BLOCK, dimensions=FFN))
    assert (phi6.arm, phi6.implementation, phi6.baseline_implementation) == ("phi6", "fused", "fused")
    assert round(phi6.mean, 6) == 1.1
    without_kernels = {key: seconds for key, seconds in BLOCK.items() if key[1] == "eager"}
    (phi6,) = ffn_charts.best_blocks(summary_of(without_kernels, dimensions=FFN))
    assert phi6.mean == 5 / 8


def test_what_a_block_can_save_is_said_by_the_interval():
    def takeaway(gelu_s):
        rows = summary_of({("gelu_erf", "eager"): gelu_s, ("no_activation", "eager"): 4e-3}, dimensions=FFN)
        return drawn(charts(rows, []))["ffn_share"].takeaway

    # 4/5 ± 10 %: 1 − 0.88 to 1 − 0.72. 4/4.2 ± 10 % reaches beyond 1; so does 4/3.9.
    assert (
        takeaway(5e-3)
        == "The best GELU takes 20.0 % of the block (95 % interval 12.0 to 28.0): no activation, however cheap, can save more."
    )
    assert "cannot be told from nothing" in takeaway(4.2e-3)
    assert "cannot be told from nothing" in takeaway(3.9e-3)


def width_counts(widths):
    for arm, width in widths.items():
        yield estimate(arm, "eager", float(width), metric="ffn_width", statistic="exact", dimensions=WIDTHS)
        yield estimate(arm, "eager", 4.0 * width, metric="flop_per_call", statistic="exact", dimensions=WIDTHS)


def test_an_odd_width_is_shown_as_a_share_of_the_standard_one():
    counts = list(width_counts({"width_4x": 16384, "width_exact": 5461, "width_64": 5504}))
    seconds = {("width_4x", "eager"): 3.4e-3, ("width_exact", "eager"): 6.8e-3, ("width_64", "eager"): 1.7e-3}
    joules = dict(zip(seconds, (2.4, 3.0, 1.2), strict=True))
    rows = counts + summary_of(seconds, dimensions=WIDTHS)
    chart = drawn(charts(rows, []))["ffn_widths"]
    odd, rounded = "exact width: 5,461", "multiple of 64: 5,504"
    assert round(dict(zip(chart.series[0].x, chart.series[0].y, strict=True))[odd], 3) == 33.331  # 5461 / 16384
    assert round(points(chart, "time")[odd][1], 6) == 200.0
    assert round(points(chart, "time")[rounded][1], 6) == 50.0
    assert chart.takeaway.startswith("The exact width is odd.")
    assert {series.name for series in chart.series} == {"operations", "time"}
    chart = drawn(charts(rows + summary_of(joules, "energy_j", dimensions=WIDTHS), []))["ffn_widths"]
    assert round(points(chart, "energy")[odd][1], 6) == 125.0
    assert "ffn_widths" not in drawn(charts(counts, []))


def test_a_block_leaves_the_figures_of_the_function_alone_out():
    assert set(drawn(charts(summary_of(BLOCK, dimensions=FFN), []))) == ALWAYS | {"ffn_share", "ffn_ratio", "ffn_time"}


ALONE = {("gelu_erf", "eager"): 2e-4, ("phi6", "eager"): 8e-4, ("phi6", "fused"): 1e-4, ("copy", "eager"): 1e-4}


def test_warm_rows_change_no_figure_but_their_own():
    cold = drawn(charts(summary_of(ALONE), []))
    warm = summary_of({key: seconds / 7 for key, seconds in ALONE.items()}, dimensions={**CELL, "cache": "warm"})
    both = drawn(charts(summary_of(ALONE) + warm, []))
    assert set(both) - set(cold) == {"warm_against_cold"}
    assert {key: both[key] for key in cold} == cold


def test_warm_against_cold_is_throughput_over_n():
    rows = []
    for n in (1 << 12, 1 << 22):
        for cache, factor in (("cold", 1.0), ("warm", 0.5)):
            rows += summary_of(
                {key: v * factor * n / (1 << 22) for key, v in ALONE.items()}, dimensions={**CELL, "elements": n, "cache": cache}
            )
    chart = drawn(charts(rows, []))["warm_against_cold"]
    assert chart.kind == "line"
    cold, warm = points(chart, f"{LABELS['copy']}, rotating inputs"), points(chart, f"{LABELS['copy']}, same input")
    # 2²² fp32 elements, read and written: 8 · 4 194 304 B in 0.1 ms; the same at every n here.
    assert {n: round(value[1]) for n, value in cold.items()} == {1 << 12: 335_544_320_000, 1 << 22: 335_544_320_000}
    assert {n: round(value[1]) for n, value in warm.items()} == {1 << 12: 671_088_640_000, 1 << 22: 671_088_640_000}
    assert len(chart.series) == 6  # the copy, the best GELU and the best Phi6Simple, each twice


JOULES = {("gelu_erf", "eager"): 0.04, ("phi6", "eager"): 0.16, ("phi6", "fused"): 0.05, ("copy", "eager"): 0.02}


def test_joules_are_per_billion_elements_and_against_the_gelu_that_needs_fewest():
    found = drawn(charts(summary_of(ALONE) + summary_of(JOULES, "energy_j"), []))
    # 0.16 J for 4 194 304 elements: 38.147 J for 10⁹.
    assert round(points(found["energy_j"], "eager")[LABELS["phi6"]][1], 3) == 38.147
    assert found["energy_j"].limits == {LABELS["copy"]: 0.02 * 1e9 / (1 << 22)}
    assert points(found["energy_ratio"], "eager")[LABELS["phi6"]][1] == 0.25
    assert round(points(found["energy_ratio"], "fused")[LABELS["phi6"]][1], 9) == 0.8
    assert "Phi6Simple 0.8× [0.72, 0.88]" in found["energy_ratio"].takeaway


def test_joules_of_a_block_are_per_block():
    joules = {key: 1000 * seconds for key, seconds in BLOCK.items()}
    found = drawn(charts(summary_of(joules, "energy_j", dimensions=FFN), []))
    assert points(found["energy_j"], "fused")[LABELS["phi6"]][1] == 4.0
    assert found["energy_j"].title.endswith("per block")


def test_the_counter_is_shown_against_integrated_power():
    rows = [estimate("phi6", "fused", -0.02, metric="energy_counter_vs_power", ci_low=-0.03, ci_high=-0.01)]
    (chart,) = energy_charts.charts(rows)
    assert points(chart, "fused")[LABELS["phi6"]] == (-3.0, -2.0, -1.0)
    assert chart.limits == {"+5 %": 5.0, "−5 %": -5.0}
    assert "At most 2.0 % apart" in chart.takeaway


def test_every_part_of_a_summary_draws():
    rows = summary_of(ALONE) + summary_of(JOULES, "energy_j") + summary_of(BLOCK, dimensions=FFN)
    rows += list(width_counts({"width_4x": 256, "width_exact": 85})) + summary_of(ALONE, dimensions={**CELL, "cache": "warm"})
    for end in range(len(rows) + 1):
        drawn(charts(rows[:end], []))
