"""Joules on a board that is arithmetic, with every value derived by hand; on a real GPU within physical bounds."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import energy
from lab.energy import (
    CALLS_UNCERTAIN,
    DISAGREES,
    ENERGY_METRICS,
    IDLE_DRIFTED,
    NO_POWER,
    STANDARD,
    THOROUGH,
    AboveIdle,
    EnergyObservation,
    EnergySettings,
    Outcome,
    PollingClock,
    between_ticks,
    calibrate_tick,
    compare_energy,
    duration_s,
    energy_events,
    integrate_power,
    record_counter,
)
from lab.energy_meter import CounterFault, CounterLog, Meter, NoMeter, ReplayedMeter, open_meter
from lab.load import CudaLoad
from lab.records import Fact, Progress, Record
from lab.rotation import cache_bytes, rotated_buffers
from lab.timing import Arm, Excluded
from tests.lab.fake_board import FakeBoard, FakePollingClock, TickingMeter

# Everything is a power of two, so that sums of times hold to the last digit: ticks of 1/8 s, polls every 1/128 s, batches of 1/64 s.
EXACT = EnergySettings(
    window_s=2.0,
    observations=2,
    lead_in_s=0.5,
    idle_lead_in_s=0.5,
    poll_s=2**-7,
    power_every_s=2**-5,
    batch_s=2**-6,
    ahead_s=2**-4,
    calibration_ticks=4,
)
# The same with polls of 1/1024 s, for bounds below 0.5 %.
FINE = EnergySettings(**{**EXACT.__dict__, "poll_s": 2**-10, "batch_s": 2**-9, "observations": 1})


def run(board: FakeBoard, arms: list[Arm], how: EnergySettings = EXACT, meter: Meter | NoMeter | None = None) -> list[Outcome]:
    return list(compare_energy(arms, meter or board.meter(), board, how, board.clock))


def observations(found: list[Outcome]) -> list[EnergyObservation]:
    return [item for item in found if isinstance(item, EnergyObservation)]


def values(records: list[Record], metric: str, arm: str) -> list[float | None]:
    return [record.value for record in records if (record.metric, record.arm) == (metric, arm)]


def test_importing_the_modules_loads_neither_torch_nor_nvml() -> None:
    code = "import sys, lab.energy, lab.load, lab.energy_meter; sys.exit(any(name in sys.modules for name in ('torch', 'pynvml')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestTicks:
    def test_the_tick_is_calibrated_from_changes(self) -> None:
        # Polls at 0, 1/128, …: a change at k/8 is seen by the poll at k/8 and was not there 1/128 s before: every interval is 1/8 s, known
        # to 2 · (1/128)/2.
        clock = FakePollingClock()
        found = calibrate_tick(TickingMeter(clock, lambda t: 80 * t), clock, EXACT)
        assert (found.tick_s, found.shortest_s, found.longest_s, found.uncertainty_s) == (0.125, 0.125, 0.125, 2**-7)
        assert clock() == pytest.approx((4 + 1) * 0.125 + 2**-7)  # the first change begins an interval, the poll after the last sleeps

    def test_a_missed_tick_does_not_move_the_median(self) -> None:
        # The counter stands still from 0.25 to 0.375 s: intervals 1/8, 2/8, 1/8, 1/8.
        clock = FakePollingClock()
        found = calibrate_tick(TickingMeter(clock, lambda t: 80 * (0.25 if t == 0.375 else t)), clock, EXACT)
        assert (found.tick_s, found.shortest_s, found.longest_s) == (0.125, 0.125, 0.25)

    def test_slow_readings_widen_the_uncertainty(self) -> None:
        # A reading takes 1/64 s and the pause 1/128 s. From the start of the last old reading to the end of the first new one: two readings
        # and a pause, 5/128 s; an interval has that uncertainty, half at each end.
        clock = FakePollingClock()
        meter = TickingMeter(clock, lambda t: 80 * t, tick_s=1.0)
        reading, meter.energy_j = meter.energy_j, lambda: (clock.advance(2**-6), reading())[1]  # type: ignore[method-assign]
        assert calibrate_tick(meter, clock, EXACT).uncertainty_s == 5 / 128

    def test_a_counter_that_stands_still_is_at_fault(self) -> None:
        clock = FakePollingClock()
        with pytest.raises(CounterFault, match=r"^the energy counter did not move for 2 s$"):
            calibrate_tick(TickingMeter(clock, lambda t: 7.0), clock, EXACT)
        assert 2.0 < clock() < 2.1

    def test_a_counter_that_goes_backwards_is_at_fault(self) -> None:
        clock = FakePollingClock()
        with pytest.raises(CounterFault, match=r"went backwards, from 24\.000 J to 0\.500 J \(wrapped, or the driver was reloaded\)"):
            calibrate_tick(TickingMeter(clock, lambda t: 96 * t if t < 0.375 else 0.5), clock, EXACT)

    @given(tick_s=st.floats(0.02, 0.3), poll_s=st.floats(0.0005, 0.004))
    @settings(deadline=None, max_examples=30)
    def test_within_its_uncertainty_whatever_the_polls(self, tick_s: float, poll_s: float) -> None:
        clock = FakePollingClock()
        how = EnergySettings(poll_s=poll_s)
        found = calibrate_tick(TickingMeter(clock, lambda t: 300 * t, tick_s=tick_s), clock, how)
        assert found.tick_s == pytest.approx(tick_s, abs=found.uncertainty_s + 1e-9)
        assert found.uncertainty_s <= 2 * poll_s + 1e-9

    def test_a_log_of_a_hundred_milliseconds_is_replayed(self) -> None:
        # Not a recording: a counter of 0.1 s steps at 85 W by formula, sampled every 2 ms for 3 s. Replayed and polled every 3 ms the ticks
        # come back at 0.1 s within two polls and two samples.
        samples = [(i * 0.002, 85 * 0.1 * (i // 50), 85.0) for i in range(1501)]
        clock = FakePollingClock()
        meter = ReplayedMeter(CounterLog.from_csv(CounterLog.of(samples).to_csv()), clock)
        found = calibrate_tick(meter, clock, EnergySettings(poll_s=0.003))
        assert found.tick_s == pytest.approx(0.1, abs=0.01)
        # Watched from there on: 1.5 s at 85 W, the first tick at least 1.5 s later is 15 ticks on.
        span = between_ticks(meter, clock, EnergySettings(window_s=1.45, poll_s=0.003), 0.0)
        assert span.energy_j == pytest.approx(15 * 8.5)
        assert span.seconds == pytest.approx(1.5, abs=0.01)
        assert span.integrated_j == pytest.approx(85 * span.seconds)

    def test_a_recorded_counter_can_be_replayed(self) -> None:
        clock = FakePollingClock()
        clock.advance(0.25)
        log = record_counter(TickingMeter(clock, lambda t: 80 * t, lambda t: 80.0), clock, 0.25, 2**-4)
        assert log.samples == ((0, 20, 80), (2**-4, 20, 80), (2**-3, 30, 80), (3 * 2**-4, 30, 80), (2**-2, 40, 80))
        assert ReplayedMeter(log, clock, start_s=clock()).energy_j() == 20


class TestSpans:
    def test_from_the_first_tick_after_the_lead_in_to_the_first_two_seconds_later(self) -> None:
        # 1,000 W in the first half second, then 200 W. The change at 0.5 s may have come before (polls are 1/128 s apart), so the span is
        # from the tick at 0.625 s to the one at 2.625 s: 2 s at 200 W. Each is placed 1/256 s before the poll that saw it, ± 1/256 s.
        clock = FakePollingClock()
        span = between_ticks(TickingMeter(clock, lambda t: 1000 * min(t, 0.5) + 200 * max(t - 0.5, 0)), clock, EXACT, 0.5)
        assert span.energy_j == 400
        assert (span.start.time_s, span.end.time_s) == (0.625 - 2**-8, 2.625 - 2**-8)
        assert span.start.uncertainty_s == span.end.uncertainty_s == 2**-8
        assert clock() == 2.625

    def test_a_window_that_is_no_multiple_of_the_tick_is_longer_never_shorter(self) -> None:
        clock = FakePollingClock()
        how = EnergySettings(**{**EXACT.__dict__, "window_s": 1.9})
        assert between_ticks(TickingMeter(clock, lambda t: 200 * t), clock, how, 0.0).seconds == 2.0

    def test_power_is_integrated_over_the_span(self) -> None:
        # Power 100 + 50 t: ∫ from a to a + 2 of it = 200 + 50 (2 a + 2). The trapezoid rule is exact for a straight line, but beyond the
        # last reading (at most 1/32 s, at most 1.6 W) power is held: within 0.05 J.
        clock = FakePollingClock()
        span = between_ticks(TickingMeter(clock, lambda t: 100 * t + 25 * t * t, lambda t: 100 + 50 * t), clock, EXACT, 0.5)
        assert span.integrated_j == pytest.approx(200 + 50 * (2 * span.start.time_s + 2), abs=0.05)

    def test_no_power_no_integral(self) -> None:
        clock = FakePollingClock()
        assert between_ticks(TickingMeter(clock, lambda t: 200 * t), clock, EXACT, 0.0).integrated_j is None


class TestIntegral:
    def test_by_hand(self) -> None:
        # 0 to 1 s from 100 to 200 W: 150 J; 1 to 3 s at 200 W: 400 J. From 0.5 (150 W) to 2 s: 0.5 · 175 + 200.
        readings = [(0.0, 100.0), (1.0, 200.0), (1.5, 200.0), (3.0, 200.0)]
        assert integrate_power(readings, 0.5, 2.0) == 0.5 * 175 + 200
        assert integrate_power(readings, -1.0, 4.0) == 100 + 150 + 400 + 200  # constant beyond the ends

    @pytest.mark.parametrize("readings", [[], [(1.0, 100.0)], [(0.0, 100.0), (5.0, 100.0)]])
    def test_fewer_than_two_readings_within(self, readings: list[tuple[float, float]]) -> None:
        assert integrate_power(readings, 0.5, 2.0) is None

    @given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 700)), min_size=2, unique_by=lambda r: r[0]), st.floats(-5, 5))
    def test_between_the_least_and_the_most_power(self, readings: list[tuple[float, float]], start_s: float) -> None:
        joules = integrate_power(sorted(readings), start_s, start_s + 7)
        watts = [power for _, power in readings]
        assert joules is None or 7 * min(watts) - 1e-6 <= joules <= 7 * max(watts) + 1e-6


class TestComparison:
    def test_joules_per_call_by_hand(self) -> None:
        # a: 1/256 s at 200 W: 0.78125 J. base: 1/128 s at 300 W: 2.34375 J, three times as much. Idle 80 W: a is 120 W above, base 220 W.
        board = FakeBoard(idle_w=80.0)
        found = run(board, [board.arm("a", 2**-8, 200.0), board.arm("base", 2**-7, 300.0)])
        seen = observations(found)
        assert [item.index for item in seen] == [0, 1]
        for item in seen:
            assert item.energy_j(("a", "fake")) == pytest.approx(200 / 256)
            assert item.energy_j(("base", "fake")) == pytest.approx(300 / 128)
            assert item.power_w(("a", "fake")) == pytest.approx(200)
        end = found[-1]
        assert isinstance(end, AboveIdle)
        assert (end.idle_start_w, end.idle_end_w, end.drift) == (pytest.approx(80), pytest.approx(80), pytest.approx(0))
        net = end.records("sound")
        assert values(net, "energy_net_j", "a") == [pytest.approx(120 / 256)] * 2
        assert values(net, "energy_net_j", "base") == [pytest.approx(220 / 128)] * 2
        assert values(net, "idle_power_w", "idle") == [pytest.approx(80)] * 2
        assert values(net, "idle_drift", "idle") == [pytest.approx(0)]

    def test_records_hold_joules_and_what_stands_behind_them(self) -> None:
        # Two windows of 2 s of calls of 1/256 s: 1,024 calls in 4 s. Bound: ticks (1/256 + 1/256)/2, two calls of 512:
        # 1/256 + 1/256 = 0.78 %, above 0.5 %.
        board = FakeBoard()
        first = observations(run(board, [board.arm("a", 2**-8, 200.0)]))[0]
        records = first.records("sound", {"n": 4})
        assert [(r.metric, r.unit) for r in records] == [(name, ENERGY_METRICS[name].unit) for name in (r.metric for r in records)]
        told = {record.metric: record.value for record in records}
        assert told == {
            "energy_j": pytest.approx(200 / 256),
            "power_w": pytest.approx(200),
            "energy_window_s": pytest.approx(4),
            "energy_calls": pytest.approx(1024),
            "energy_calls_error": pytest.approx(2**-7),
            "energy_counter_vs_power": pytest.approx(0, abs=1e-9),
        }
        assert {(r.repeat, r.dimensions["n"], r.device, r.protocol) for r in records} == {(0, 4, "cuda:0", "sound")}
        assert {record.reason for record in records} == {CALLS_UNCERTAIN, ""}

    def test_calls_that_no_tick_meets_are_counted_in_parts(self) -> None:
        # Calls of 3/1024 s in batches of 5: no batch ends on a tick, and 2 s hold 2048/3 = 682.67 calls.
        board = FakeBoard()
        for item in observations(run(board, [board.arm("a", 3 * 2**-10, 200.0)])):
            assert [window.calls for window in item.windows["a", "fake"]] == [pytest.approx(2048 / 3)] * 2
            assert item.energy_j(("a", "fake")) == pytest.approx(200 * 3 / 1024)

    def test_with_fine_polls_the_calls_are_known(self) -> None:
        # Ticks (1/2048 + 1/2048)/2, two calls of 8,192: 3/4096 = 0.073 %.
        board = FakeBoard()
        (first,) = observations(run(board, [board.arm("a", 2**-12, 200.0)], FINE))
        assert first.calls_error(("a", "fake")) == pytest.approx(3 / 4096)
        assert first.reason(("a", "fake")) == ""

    def test_a_device_that_waits_makes_its_calls_less_certain(self) -> None:
        # The same, but the batch (8 calls of 1/4096 s) that runs at the end of the first window starts 1/64 s late: where its calls end is
        # known to a batch, 8 calls instead of 1. That end is found from a run without pauses: the last tick before the second window
        # began, placed 1/2048 s before the poll that saw it.
        calm = FakeBoard()
        watched = compare_energy([calm.arm("a", 2**-12, 200.0)], calm.meter(), calm, FINE, calm.clock)
        began_s = [calm.clock() for item in watched if isinstance(item, Progress)]
        end_s = math.floor(began_s[1] / 0.125) * 0.125 - 2**-11
        board = FakeBoard(pauses={end_s: 2**-6})
        (first,) = observations(run(board, [board.arm("a", 2**-12, 200.0)], FINE))
        waited, other = first.windows["a", "fake"]
        assert not board.pauses
        assert other.calls_error == pytest.approx(3 / 4096)
        assert waited.calls_error == pytest.approx(2**-11 + 9 / waited.calls)

    def test_the_order_is_mirrored_and_balanced(self) -> None:
        board = FakeBoard()
        found = run(board, [board.arm("a", 2**-8, 200.0), board.arm("b", 2**-8, 200.0)])
        steps = [item for item in found if isinstance(item, Progress)]
        assert [step.message for step in steps] == [f"energy_j, {name} fake" for name in "abbabaab"] + ["idle power"]
        assert [step.fraction for step in steps] == [i / 10 for i in range(1, 10)]  # 8 windows and 2 of idling

    def test_a_linear_rise_of_power_cancels(self) -> None:
        # All power rises by 1 % a second; an arm's turn takes some 2.7 s, so one window each would differ by 2.7 %. Mirrored they do not.
        board = FakeBoard(rise=0.01)
        found = run(board, [board.arm("a", 2**-8, 200.0), board.arm("base", 2**-8, 200.0)])
        for item in observations(found):
            a, base = (item.windows[name, "fake"] for name in ("a", "base"))
            assert abs(a[0].energy_j / base[0].energy_j - 1) > 0.02
            assert item.energy_j(("a", "fake")) == pytest.approx(item.energy_j(("base", "fake")), rel=2e-4)

    def test_idle_that_drifts_is_flagged(self) -> None:
        # Idle at the end, some 25 s later, is 25 % up; the mean of both ends is taken off.
        board = FakeBoard(rise=0.01)
        found = run(board, [board.arm("a", 2**-8, 200.0), board.arm("base", 2**-8, 200.0)])
        end = found[-1]
        assert isinstance(end, AboveIdle)
        assert end.drift > 0.15
        assert end.idle_w == (end.idle_start_w + end.idle_end_w) / 2
        net = [record for record in end.records("sound") if record.metric == "energy_net_j"]
        assert all(IDLE_DRIFTED in record.reason for record in net)

    @pytest.mark.parametrize(("factor", "flagged"), [(1.0, False), (1.04, False), (0.94, True), (1.07, True)])
    def test_counter_and_power_that_disagree_are_flagged(self, factor: float, flagged: bool) -> None:
        # Power told f times too high: counter / integral − 1 = 1/f − 1: 0, −3.8 %, +6.4 %, −6.5 %.
        board = FakeBoard()
        (first,) = observations(run(board, [board.arm("a", 2**-12, 200.0)], FINE, board.meter(power_factor=factor)))
        assert first.disagreement(("a", "fake")) == pytest.approx(1 / factor - 1)
        reasons = {record.metric: record.reason for record in first.records("sound")}
        assert reasons["energy_j"] == reasons["power_w"] == (DISAGREES if flagged else "")

    def test_without_power_the_check_is_missing_with_its_reason(self) -> None:
        board = FakeBoard()
        meter = TickingMeter(board.clock, board.energy_at)
        (first,) = observations(run(board, [board.arm("a", 2**-12, 200.0)], FINE, meter))
        missing = next(record for record in first.records("sound") if record.metric == "energy_counter_vs_power")
        assert (missing.value, missing.reason) == (None, NO_POWER)
        assert first.reason(("a", "fake")) == ""

    def test_the_method_is_told_with_the_tick_that_was_found(self) -> None:
        board = FakeBoard()
        fact = run(board, [board.arm("a", 2**-8, 200.0)])[0]
        assert fact == Fact(
            "energy_method",
            "fake counter, tick 125 ms (125 to 125 ms, each ± 7.8 ms), windows of at least 2 s on ticks, 0.5 s discarded after each "
            "switch, 2 mirrored pairs; net of idle with a live context; checked against fake power",
        )

    @given(
        call_s=st.floats(1e-4, 3e-3),
        power_w=st.floats(90, 700),
        tick_s=st.floats(0.05, 0.15),
        poll_s=st.floats(0.002, 0.006),
    )
    @settings(deadline=None, max_examples=15)
    def test_the_true_energy_is_within_the_bound(self, call_s: float, power_w: float, tick_s: float, poll_s: float) -> None:
        board = FakeBoard()
        how = EnergySettings(window_s=0.4, observations=1, lead_in_s=0.1, idle_lead_in_s=0.1, poll_s=poll_s, calibration_ticks=1)
        (first,) = observations(run(board, [board.arm("a", call_s, power_w)], how, board.meter(tick_s)))
        true_j = power_w * call_s
        assert first.energy_j(("a", "fake")) == pytest.approx(true_j, rel=first.calls_error(("a", "fake")) + 1e-9)

    def test_garbage_collection_is_off_in_windows_only(self) -> None:
        board = FakeBoard()
        seen: set[bool] = set()
        submit = board.submit
        arm = board.arm("a", 2**-8, 200.0)
        outside = []
        for item in compare_energy([arm], board.meter(), board, EXACT, board.clock):
            outside.append(gc.isenabled())
            if isinstance(item, Progress) and not seen:
                board.submit = lambda *args: (seen.add(gc.isenabled()), submit(*args))[1]  # type: ignore[method-assign,func-returns-value]
        assert seen == {False}
        assert all(outside)

    def test_inputs_rotate_on_from_window_to_window(self) -> None:
        board = FakeBoard()
        firsts: list[tuple[int, int]] = []
        submit = board.submit

        def noted(arm: Arm, first: int, calls: int) -> object:
            firsts.append((first, calls))
            return submit(arm, first, calls)

        board.submit = noted  # type: ignore[method-assign,assignment]
        run(board, [board.arm("a", 2**-8, 200.0)])
        assert [first for first, _ in firsts] == [sum(calls for _, calls in firsts[:i]) for i in range(len(firsts))]

    def test_the_host_is_never_far_ahead(self) -> None:
        # Batches of 1/64 s, 1/16 s ahead: work is given only while less than 1/16 s is pending, so at most 1/16 + 1/64 s.
        board = FakeBoard()
        ahead: list[float] = []
        submit = board.submit

        def noted(arm: Arm, first: int, calls: int) -> object:
            batch = submit(arm, first, calls)
            ahead.append(batch.end_s - board.clock())
            return batch

        board.submit = noted  # type: ignore[method-assign,assignment]
        run(board, [board.arm("a", 2**-8, 200.0)])
        assert max(ahead) <= 2**-4 + 2**-6


class TestExcluded:
    def test_an_arm_that_fails_is_named_and_the_others_go_on(self) -> None:
        board = FakeBoard()
        arms = [board.arm("x", 2**-8, 200.0), board.arm("a", 2**-8, 200.0)]
        board.failing["x"] = RuntimeError("cannot be captured\nlong trace")
        found = run(board, arms)
        assert isinstance(found[0], Excluded)
        (record,) = found[0].records("sound", {"n": 1})
        assert (record.arm, record.metric, record.unit, record.value) == ("x", "energy_j", "J", None)
        assert record.reason == "RuntimeError: cannot be captured"
        assert all(set(item.windows) == {("a", "fake")} for item in observations(found))

    def test_nothing_is_measured_when_every_arm_fails(self) -> None:
        board = FakeBoard()
        board.failing["x"] = RuntimeError("no")
        assert [type(item) for item in run(board, [board.arm("x", 2**-8, 200.0)])] == [Excluded]

    def test_without_a_meter_nothing_runs(self) -> None:
        board = FakeBoard()
        found = run(board, [board.arm("a", 2**-8, 200.0), board.arm("b", 2**-8, 200.0)], meter=NoMeter("MIG is enabled"))
        assert [(item.arm.name, item.reason, item.unit) for item in found if isinstance(item, Excluded)] == [
            ("a", "MIG is enabled", "J"),
            ("b", "MIG is enabled", "J"),
        ]
        assert len(found) == 2
        assert board.clock() == 0

    def test_a_counter_that_goes_backwards_ends_the_comparison_and_keeps_what_was_seen(self) -> None:
        # One observation takes some 6 s after 4 s of calibrating and idling; the counter falls to 0 at 12 s, within the second.
        board = FakeBoard()
        meter = TickingMeter(board.clock, lambda t: board.energy_at(t) if t < 12 else 0.0, board.power_at)
        found = run(board, [board.arm("a", 2**-8, 200.0)], meter=meter)
        assert [item.index for item in observations(found)] == [0]
        fact, excluded = found[-2:]
        assert isinstance(fact, Fact)
        assert fact.value.startswith("not measured: the energy counter went backwards, from ")
        assert isinstance(excluded, Excluded)
        assert excluded.reason.startswith("the energy counter went backwards, from ")
        assert not any(isinstance(item, AboveIdle) for item in found)

    def test_a_clock_that_stands_still_excludes_the_arm(self) -> None:
        board = FakeBoard()
        found = run(board, [board.arm("a", 0.0, 200.0)])
        assert [type(item) for item in found] == [Excluded]
        assert "the clock stands still" in found[0].reason  # type: ignore[union-attr]

    def test_twins_are_an_error(self) -> None:
        board = FakeBoard()
        with pytest.raises(ValueError, match="must be distinct"):
            run(board, [board.arm("a", 2**-8, 200.0)] * 2)


class TestSettings:
    def test_defaults_are_those_of_the_method(self) -> None:
        assert (STANDARD.window_s, STANDARD.observations, STANDARD.lead_in_s) == (2.0, 5, 0.5)
        assert (THOROUGH.window_s, THOROUGH.observations, THOROUGH.lead_in_s) == (5.0, 6, 0.5)

    @pytest.mark.parametrize(
        "bad", [{"window_s": 0}, {"poll_s": 0}, {"batch_s": -1}, {"lead_in_s": -0.1}, {"observations": 0}, {"calibration_ticks": 0}]
    )
    def test_impossible_settings_are_refused(self, bad: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="must be above 0"):
            EnergySettings(**bad)  # type: ignore[arg-type]

    def test_the_duration_is_foreseen(self) -> None:
        # 5 ticks of 0.125 s, 8 windows of 2.625 s, 2 idle ones of 2.625 s.
        assert duration_s(2, EXACT, 0.125) == 5 * 0.125 + 10 * 2.625
        board = FakeBoard()
        run(board, [board.arm("a", 2**-8, 200.0), board.arm("b", 2**-8, 200.0)])
        assert board.clock() == pytest.approx(duration_s(2, EXACT, 0.125), rel=0.05)

    def test_intervals_assume_one_look(self) -> None:
        assert {metric.looks for metric in ENERGY_METRICS.values()} == {1}
        assert {name for name, metric in ENERGY_METRICS.items() if metric.compare == "ratio"} == {"energy_j", "energy_net_j"}


def test_an_experiment_yields_facts_progress_and_records(monkeypatch: pytest.MonkeyPatch) -> None:
    board = FakeBoard()
    monkeypatch.setattr(energy, "PollingClock", lambda: board.clock)
    found = list(energy_events([board.arm("a", 2**-8, 200.0)], board.meter(), board, EXACT, "sound", {"n": 4}))
    assert [item.name for item in found if isinstance(item, Fact)] == ["energy_method"]
    records = [item for item in found if isinstance(item, Record)]
    assert {record.metric for record in records} == set(ENERGY_METRICS)
    assert {record.dimensions["n"] for record in records} == {4}
    assert len(records) + len([item for item in found if isinstance(item, Progress)]) + 1 == len(found)


@pytest.mark.gpu
class TestCuda:
    """The real counter of a real GPU that nobody else uses."""

    DEVICE = "cuda:0"
    SHORT = EnergySettings(window_s=2.0, observations=2, idle_lead_in_s=1.0)

    @pytest.fixture
    def torch(self):
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device: torch finds none")
        return torch

    @pytest.fixture
    def meter(self, torch) -> Meter:
        found = open_meter(self.DEVICE, "")  # this process has its context by now: whether others were there first cannot be asked here
        if isinstance(found, NoMeter):
            pytest.skip(f"needs an energy counter: {found.reason}")
        return found

    def arm(self, torch, name: str, function: Callable, n: int = 2**26) -> Arm:
        rotation = rotated_buffers(lambda i: torch.randn(n, device=self.DEVICE), 4 * n, cache_bytes(self.DEVICE))
        return Arm(name, "eager", "technique", self.DEVICE, "float32", rotation.call(function), rotation.period)

    def test_the_tick_is_found_and_a_recorded_log_replays_it(self, torch, meter: Meter) -> None:
        clock = PollingClock()
        found = calibrate_tick(meter, clock)
        print(found)
        assert 0.001 < found.tick_s < 0.5
        assert found.uncertainty_s < 0.02
        replay = FakePollingClock()
        again = calibrate_tick(ReplayedMeter(record_counter(meter, clock, 2.0), replay), replay)
        assert again.tick_s == pytest.approx(found.tick_s, rel=0.1)

    def test_idle_draws_less_than_a_copy_and_neither_more_than_the_board_may(self, torch, meter: Meter) -> None:
        load = CudaLoad(self.DEVICE, PollingClock())
        found = list(compare_energy([self.arm(torch, "copy", lambda x: x.clone())], meter, load, self.SHORT))
        load.close()
        end = found[-1]
        assert isinstance(end, AboveIdle)
        print(found)
        for item in observations(found):
            power_w = item.power_w(("copy", "eager"))
            assert 20 < end.idle_w < power_w < 1500
            # 2²⁶ float32 read and written: at least 10 pJ and at most 10 nJ a byte.
            assert 10e-12 < item.energy_j(("copy", "eager")) / (8 * 2**26) < 10e-9
            assert abs(item.disagreement(("copy", "eager")) or 0.0) < 0.1
            assert item.calls_error(("copy", "eager")) < 0.03  # reading the counter takes milliseconds: ± 11 ms a tick were seen on an H200

    @pytest.mark.parametrize("graphs", [True, False])
    def test_identical_arms_use_the_same_energy(self, torch, meter: Meter, graphs: bool) -> None:
        clock = PollingClock()
        load = CudaLoad(self.DEVICE, clock, graphs=graphs)
        arms = [self.arm(torch, name, torch.relu) for name in ("first", "second")]
        found = observations(list(compare_energy(arms, meter, load, STANDARD, clock)))
        load.close()
        logs = [math.log(item.energy_j(("first", "eager")) / item.energy_j(("second", "eager"))) for item in found]
        print(logs)
        assert len(logs) == STANDARD.observations
        assert abs(sum(logs) / len(logs)) < 0.02

    def test_calls_are_counted_as_the_device_timer_counts_them(self, torch, meter: Meter) -> None:
        from lab.timing import DeviceTimeSampler

        arm = self.arm(torch, "relu", torch.relu)
        clock = PollingClock()
        load = CudaLoad(self.DEVICE, clock)
        (first,) = observations(list(compare_energy([arm], meter, load, EnergySettings(observations=1), clock)))
        load.close()
        sampler = DeviceTimeSampler(self.DEVICE)
        sampler.prepare(arm)
        timed = sampler.time(arm, 0, 2000)
        sampler.close()
        window = first.windows["relu", "eager"][0]
        assert window.seconds / window.calls == pytest.approx(timed.seconds / timed.calls, rel=0.05)

    def test_an_arm_that_cannot_be_captured_is_excluded(self, torch, meter: Meter) -> None:
        arms = [self.arm(torch, "waits", lambda x: x.sum().item(), 2**20), self.arm(torch, "relu", torch.relu)]
        load = CudaLoad(self.DEVICE, PollingClock())
        found = list(compare_energy(arms, meter, load, EnergySettings(window_s=0.5, observations=1, idle_lead_in_s=0.0)))
        load.close()
        assert [item.arm.name for item in found if isinstance(item, Excluded)] == ["waits"]
        assert [set(item.windows) for item in observations(found)] == [{("relu", "eager")}]

    def test_another_process_sees_that_this_one_computes(self, torch, meter: Meter) -> None:
        torch.cuda.synchronize()  # this process has a context
        code = f"from lab.energy_meter import obstacle; print(obstacle({self.DEVICE!r}), end='')"
        reason = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        if not reason:
            pytest.skip("the driver shows this process no others, as in some containers")
        assert "compute process" in reason
