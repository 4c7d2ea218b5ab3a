"""The figures from summaries made by hand: the right lines, crossovers in words, the window's reach and chance."""

from lab.charts import figure, table
from tests.workloads.fft_mixing.estimates import estimate, side_by_side
from workloads.fft_mixing.charts import charts
from workloads.fft_mixing.names import (
    CHANCE,
    COUNT,
    LAYER,
    LONGEST_WINDOW,
    SOUND_TRAINING,
    TEST_ACCURACY,
    VALIDATION_ACCURACY,
    dimensions_of,
)


def drawn(estimates):
    found = {chart.key: chart for chart in charts(estimates, [])}
    for chart in found.values():  # every figure can be drawn and has its table
        figure(chart)
        table(chart)
        assert chart.alt
    return found


def layers(sizes):
    """FFT-Mix takes 1 µs a token, attention 1 ns a token and key: equal at N = 1000."""
    rows = []
    for n in sizes:
        dimensions = dimensions_of(LAYER, seq_len=n, batch_size=2, d_model=768, direction="forward")
        times = {
            ("fft_mix", "eager"): 2e-6 * 2 * n,
            ("fft_mix", "fused"): 1e-6 * 2 * n,
            ("attention", "module"): 8e-9 * 2 * n * n,
            ("attention", "sdpa_flash"): 1e-9 * 2 * n * n,
            ("fnet", "eager"): 3e-6 * 2 * n,
            ("projection", "eager"): 0.3e-6 * 2 * n,
            ("memory_pass", "eager"): 0.2e-6 * 2 * n,
        }
        rows += side_by_side(times, dimensions=dimensions)
    return rows


def test_nothing_measured_still_shows_what_a_window_sees():
    assert set(drawn([])) == {"sight"}


def test_ratios_have_a_line_for_each_comparison_and_the_claims_beside_them():
    chart = drawn(layers((1024, 4096, 8192)))["speed_ratio"]
    lines = {series.name: dict(zip(series.x, series.y, strict=True)) for series in chart.series}
    best = next(values for name, values in lines.items() if name.startswith("best against best"))
    assert round(best[4096], 3) == 4.096  # 1e-9 · 4096² / (1e-6 · 4096)
    assert lines["claimed (estimated, never run)"] == {4096: 10.0, 8192: 20.0}
    assert "fused, flash backend" in chart.takeaway


def test_who_is_faster_is_said_at_the_last_n_that_both_have():
    # The module does not fit at N = 65,536, where FFT-Mix as published takes longer (131 ms) than the module does at 2,048 (34 ms).
    rows = layers((1024, 2048, 65_536))
    rows = [e for e in rows if not (e.dimensions["seq_len"] == 65_536 and "module" in (e.implementation, e.baseline_implementation))]
    words = drawn(rows)["time_per_sequence"].takeaway
    assert (
        "FFT-Mix (PyTorch eager) and attention (module returning its weights) do not cross between N = 1,024 and 2,048: the first is faster"
        in words
    )


def test_times_are_per_sequence_with_the_limit_and_the_crossover():
    chart = drawn(layers((256, 512, 1024, 2048, 4096)))["time_per_sequence"]
    lines = {series.name: dict(zip(series.x, series.y, strict=True)) for series in chart.series}
    assert abs(lines["limit: projection and one pass over memory"][1024] - 0.5e-6 * 1024) < 1e-12
    assert any(abs(place - 1000) < 1e-6 for place in chart.marks.values())
    assert "N ≈ 1,000 (between 512 and 1,024)" in chart.takeaway
    # FNet and attention: 3e-6 · n = 1e-9 · n² at n = 3000.
    assert "N ≈ 3,000" in chart.takeaway


def test_where_lines_do_not_cross_the_words_say_so():
    assert "do not cross between N = 2,048 and 4,096" in drawn(layers((2048, 4096)))["time_per_sequence"].takeaway


def test_the_fastest_layer_is_held_against_the_limit():
    assert "reaches 50 % of the limit" in drawn(layers((1024,)))["floor"].takeaway  # (0.3 + 0.2) / 1.0


def test_exponents_need_five_n():
    assert "exponents" not in drawn(layers((1024, 2048, 4096)))
    chart = drawn(layers((1024, 2048, 4096, 8192, 16384)))["exponents"]
    values = dict(zip(chart.series[0].x, chart.series[0].y, strict=True))
    assert abs(values["FFT-Mix (all scales in one pass)"] - 1) < 1e-9
    assert abs(values["attention (fused)"] - 2) < 1e-9


def training(metric, arm, mean, **dimensions):
    return estimate(
        arm,
        "batched",
        mean,
        metric=metric,
        dimensions=dimensions_of(SOUND_TRAINING, seeds=5, data="associative recall", task="recall", **dimensions),
    )


def test_accuracy_against_distance_marks_the_window_and_chance():
    rows = [
        training(TEST_ACCURACY, arm, value, distance=distance)
        for arm, values in (("fft_mix", {8: 40.0, 32: 13.0}), ("attention", {8: 99.0, 32: 98.0}))
        for distance, value in values.items()
    ]
    rows.append(estimate("attention", "batched", 12.5, metric=CHANCE, statistic="exact", dimensions=rows[0].dimensions))
    rows.append(estimate("fft_mix", "counted", 24.0, metric=LONGEST_WINDOW, statistic="exact", dimensions=dimensions_of(COUNT)))
    chart = drawn(rows)["distance_recall"]
    assert chart.limits == {"chance": 12.5}
    assert list(chart.marks.values()) == [24.0]
    assert "FFT-Mix: 40 % at 8, 13 % at 32; attention: 99 % at 8, 98 % at 32." in chart.takeaway


def test_curves_have_a_line_for_each_mixer_and_distance():
    rows = [
        training(VALIDATION_ACCURACY, arm, 10.0 * step, distance=distance, step=step)
        for arm in ("fft_mix", "attention")
        for distance in (4, 32)
        for step in (0, 5)
    ]
    (chart,) = [chart for key, chart in drawn(rows).items() if key.startswith("validation_accuracy")]
    assert [series.name for series in chart.series] == [
        "FFT-Mix, distance 4",
        "FFT-Mix, distance 32",
        "attention, distance 4",
        "attention, distance 32",
    ]
    assert chart.series[0].x == (0, 5)
