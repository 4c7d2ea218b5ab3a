"""Exponents, crossovers and the launch-bound region from times that are known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workloads.fft_mixing.estimates import estimate
from workloads.fft_mixing import scaling
from workloads.fft_mixing.names import ATTENTION, EAGER, FFT_MIX, LAYER, SDPA, SMALLEST_CALL, dimensions_of
from workloads.fft_mixing.scaling import Point

FAST, SLOW = (FFT_MIX, EAGER), (ATTENTION, SDPA)


def line(exponent, factor, sizes=(64, 128, 256, 512, 1024), bound=()):
    return [Point(n, factor * n**exponent, factor * n**exponent, n in bound) for n in sizes]


@given(exponent=st.floats(0.5, 3), factor=st.floats(1e-9, 1e-3))
def test_the_exponent_of_a_power_law_is_found(exponent, factor):
    interval = scaling.exponent(line(exponent, factor))
    assert interval.mean == pytest.approx(exponent)
    assert interval.low == pytest.approx(exponent, abs=1e-6)


def test_launch_bound_points_do_not_count():
    # Flat up to 256, quadratic beyond: with the flat part the slope would be far below 2.
    flat = [Point(n, 1.0, 1.0, True) for n in (64, 128, 256)]
    steep = line(2, 1e-6, (512, 1024, 2048, 4096, 8192))
    interval = scaling.exponent([*flat, *steep])
    assert interval.mean == pytest.approx(2.0)
    assert interval.n == 5
    assert scaling.exponent(flat).mean is None


def test_n_log_n_grows_with_an_exponent_of_its_own():
    # From 4 to 16, n log n grows 4 · 2 = 8 times: log 8 / log 4 = 1.5. The claim's 1.12 is that from 1,024 to 32,768.
    assert scaling.n_log_n_exponent(4, 16) == pytest.approx(1.5)
    assert scaling.n_log_n_exponent(1024, 32_768) == pytest.approx(1.12, abs=0.005)


def test_the_crossover_is_interpolated_between_its_neighbours():
    # n against 1e-3 · n²: equal at n = 1000, and both lines are straight in log–log, so the interpolation is exact.
    found = {FAST: line(1, 1.0), SLOW: line(2, 1e-3)}
    (crossover,) = scaling.crossovers(FAST, SLOW, found)
    assert crossover.seq_len == pytest.approx(1000)
    assert (crossover.below, crossover.above) == (512, 1024)
    assert crossover.faster_beyond
    (reverse,) = scaling.crossovers(SLOW, FAST, found)
    assert not reverse.faster_beyond
    assert reverse.seq_len == pytest.approx(1000)


def test_no_crossover_and_no_common_n():
    found = {FAST: line(1, 1.0), SLOW: line(1, 2.0)}
    assert scaling.crossovers(FAST, SLOW, found) == []
    assert scaling.crossovers(FAST, SLOW, {FAST: line(1, 1.0, (64,)), SLOW: line(2, 1.0, (128,))}) == []


def test_points_take_device_time_where_there_is_one_and_time_per_sequence():
    def layer(metric, mean, implementation, **dimensions):
        return estimate(ATTENTION, implementation, mean, metric=metric, dimensions=dimensions_of(LAYER, **dimensions))

    rows = [
        layer("latency_s", 9.0, "sdpa_flash", seq_len=64, batch_size=4),
        layer("device_time_s", 8.0, "sdpa_flash", seq_len=64, batch_size=4),
        layer("latency_s", 6.0, "sdpa_cudnn", seq_len=128, batch_size=2),
        layer(SMALLEST_CALL, 2.5, "sdpa_cudnn", seq_len=128, batch_size=2),
    ]
    # Two backends are one arm; 8 s for 4 sequences; 6 s is less than 3 · 2.5 s, so launching decides there.
    assert scaling.points(rows) == {SLOW: [Point(64, 8.0, 2.0, False, "device_time_s"), Point(128, 6.0, 3.0, True, "latency_s")]}


def test_a_launch_bound_call_is_not_compared_with_a_replay():
    # At 64 the call of one arm is launching alone, the other's was replayed: what looks like a crossover between 64 and 128 is none.
    replayed = [Point(64, 2.0, 2.0, False, "device_time_s"), Point(128, 4.0, 4.0, False, "device_time_s")]
    called = [Point(64, 9.0, 9.0, True), Point(128, 3.0, 3.0, False), Point(256, 3.0, 3.0, False)]
    assert scaling.comparable(replayed, called) == [(replayed[1], called[1])]
    assert scaling.crossovers(FAST, SLOW, {FAST: replayed, SLOW: called}) == []
    eager = [Point(64, 2.0, 2.0, True), Point(128, 4.0, 4.0, False)]  # both by calls: what a user feels, launches included
    (crossover,) = scaling.crossovers(FAST, SLOW, {FAST: eager, SLOW: called})
    assert (crossover.below, crossover.above, crossover.faster_beyond) == (64, 128, False)
