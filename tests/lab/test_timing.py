"""Mirrored observations on a fake clock, with every value derived by hand; on CUDA the real samplers."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import timing
from lab.rotation import cache_bytes, rotated_buffers
from lab.statistics import LOOKS, ratio_interval
from lab.timing import (
    NO_DEVICE_TIMER,
    QUICK,
    Arm,
    DeviceTimeSampler,
    Excluded,
    LatencySampler,
    Observation,
    Sampling,
    Timed,
    balanced_orders,
    compare,
    graph_calls,
    synchronizer,
)
from tests.lab.fake_clock import FakeArm, FakeClock

# Short and exact in binary, so that hand-derived sums hold to the last digit: segments of 1/8 s, no warm-up beyond calibration.
EXACT = Sampling(segment_s=0.125, warmup_s=0.0)


class Bench:
    """Fake arms on one fake clock, and how often the device was waited for."""

    def __init__(self, sync_s: float = 0.0) -> None:
        self.clock = FakeClock()
        self.synchronised = 0
        self.sync_s = sync_s
        self.sampler = LatencySampler(self._synchronize, self.clock)

    def _synchronize(self) -> None:
        self.synchronised += 1
        self.clock.advance(self.sync_s)

    def arm(self, name: str, cost_s, role="technique", reason: str = "") -> FakeArm:
        return FakeArm(self.clock, name, cost_s, role, reason)

    def run(self, fakes: list[FakeArm], baseline: str, sampling: Sampling = EXACT) -> list[Excluded | Observation]:
        return list(compare([fake.arm for fake in fakes], (baseline, "fake"), self.sampler, sampling))


def test_importing_the_module_loads_no_torch() -> None:
    code = "import sys, lab.timing, lab.rotation, lab.memory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestObservations:
    def test_constant_costs_come_back_exactly_and_stop_at_the_first_look(self) -> None:
        bench = Bench()
        a, b = bench.arm("a", 2**-10), bench.arm("b", 2**-9, "baseline")
        found = bench.run([a, b], "b")
        assert [item.index for item in found] == list(range(10))
        assert all(item.seconds == {("a", "fake"): 2**-10, ("b", "fake"): 2**-9} for item in found)

    def test_order_is_a_b_b_a_then_b_a_a_b(self) -> None:
        bench = Bench()
        order: list[str] = []
        a, b = (
            bench.arm("a", lambda now, i: order.append("a") or 0.125),
            bench.arm("b", lambda now, i: order.append("b") or 0.125, "baseline"),
        )
        stream = compare([a.arm, b.arm], ("b", "fake"), bench.sampler, EXACT)
        next(stream)
        # Headroom of 10 % makes 2 calls of 1/8 s per segment.
        assert "".join(order[-8:]) == "aabbbbaa"
        next(stream)
        assert "".join(order[-8:]) == "bbaaaabb"

    def test_linear_drift_of_the_machine_cancels(self) -> None:
        # A call costs 1/8 s times (1 + now/64), in both arms: segments of one arm are mirrored, so with equal calls their means agree.
        # The clock moves by what it costs, which bends the line a little: within 0.1 %, where A B without B A would differ by 3 %.
        bench = Bench()

        def cost(now: float, i: int) -> float:
            return 0.125 * (1 + now / 64)

        a, b = bench.arm("a", cost), bench.arm("b", cost, "baseline")
        first = bench.run([a, b], "b")[0]
        assert first.seconds["a", "fake"] == pytest.approx(first.seconds["b", "fake"], rel=1e-3)

    def test_an_arm_is_the_mean_of_its_two_segments(self) -> None:
        # Calibration: 3 calls, then 1 call of 1/8 s >= segment/4: 2 calls a segment (1.1/8 s wanted). Arm a alone: calls 4, 5 and 6, 7.
        bench = Bench()
        a = bench.arm("a", lambda now, i: 0.25 if i >= 6 else 0.125)
        first = bench.run([a], "a", Sampling(segment_s=0.125, warmup_s=0.0, looks=(1,)))[0]
        assert a.inputs == list(range(8))
        assert first.seconds["a", "fake"] == (0.125 + 0.25) / 2

    def test_synchronisation_is_inside_the_segment_and_before_it(self) -> None:
        # One arm, cost 1/16 s, waiting 1/16 s: warm-up 3 calls, calibration 1 call: 1/16 + 1/16 = 1/8 s per "call", so 2 calls are planned.
        # Each segment: 2/16 + 1/16 = 3/16 s, so 3/32 s per call. The wait before the start is not counted.
        bench = Bench(sync_s=0.0625)
        found = bench.run([bench.arm("a", 0.0625)], "a", Sampling(segment_s=0.125, warmup_s=0.0, looks=(1,)))
        assert found[0].seconds["a", "fake"] == 3 / 32
        assert bench.synchronised == 2 * 4

    def test_rotation_goes_on_from_segment_to_segment(self) -> None:
        bench = Bench()
        a, b = bench.arm("a", 0.125), bench.arm("b", 0.125, "baseline")
        bench.run([a, b], "b")
        assert a.inputs == list(range(len(a.inputs)))
        assert b.inputs == list(range(len(b.inputs)))

    def test_records_share_the_repeat_and_carry_dimensions_and_reason(self) -> None:
        bench = Bench()
        a, b = bench.arm("a", 0.125, reason="warm cache: 2 inputs"), bench.arm("b", 0.25, "baseline")
        last = bench.run([a, b], "b")[-1]
        first, second = last.records("sound", {"step": 3})
        assert (first.arm, first.role, first.metric, first.value, first.unit, first.repeat) == (
            "a",
            "technique",
            "latency_s",
            0.125,
            "s",
            9,
        )
        assert (first.reason, first.dimensions) == ("warm cache: 2 inputs", {"step": 3})
        assert (second.arm, second.role, second.value, second.repeat, second.reason) == ("b", "baseline", 0.25, 9, "")


class TestSegments:
    def test_too_short_segments_are_extended_and_the_plan_follows(self) -> None:
        # 1/8 s a call until the warm-up ends at input 4 (two calls a segment), then 1/32 s. First segment: 2/32 s, short of 4/32 by 2/32:
        # two more calls. Then the plan becomes ceil(1.1 · 4) = 5.
        bench = Bench()
        a = bench.arm("a", lambda now, i: 0.125 if i < 4 else 0.03125)
        stream = compare([a.arm], ("a", "fake"), bench.sampler, EXACT)
        assert next(stream).seconds["a", "fake"] == 0.03125
        assert len(a.inputs) == 4 + 2 * (2 + 2)
        next(stream)
        assert len(a.inputs) == 12 + 2 * 5

    def test_slower_calls_shorten_the_next_segments(self) -> None:
        bench = Bench()
        a = bench.arm("a", lambda now, i: 0.125 if i < 4 else 1.0)
        stream = compare([a.arm], ("a", "fake"), bench.sampler, EXACT)
        next(stream)  # two calls a segment: 2 s instead of 1/8
        next(stream)
        assert len(a.inputs) == 4 + 2 * 2 + 2 * 1

    @given(cost=st.floats(1e-6, 1.0), wobble=st.floats(0.0, 0.9), planned=st.integers(1, 1000))
    def test_no_segment_is_shorter_than_wanted(self, cost: float, wobble: float, planned: int) -> None:
        clock = FakeClock()
        fake = FakeArm(clock, "a", lambda now, i: cost * (1 + wobble * math.sin(i)))
        found = timing._segment(timing._Running(fake.arm, planned), LatencySampler(lambda: None, clock), 0.002)
        assert found.seconds >= 0.002
        assert found.seconds == pytest.approx(clock.now_s)
        assert found.calls == len(fake.inputs)
        assert found.calls <= max(planned, 3 * math.ceil(0.002 / (cost * (1 - wobble))))  # extended by what is missing, not more

    def test_a_clock_that_stands_still_excludes_the_arm(self) -> None:
        bench = Bench()
        bench.sampler = _Instant()
        (found,) = bench.run([bench.arm("a", 0.0)], "a")
        assert isinstance(found, Excluded)
        assert "the clock stands still" in found.reason

    def test_garbage_collection_is_off_in_segments_only(self) -> None:
        bench = Bench()
        seen: set[bool] = set()
        a = bench.arm("a", lambda now, i: seen.add(gc.isenabled()) or 0.125)
        outside = [gc.isenabled() for _ in compare([a.arm], ("a", "fake"), bench.sampler, EXACT)]
        assert seen == {False}
        assert all(outside)


class _Instant:
    """Every call takes no time at all (and costs the test none either)."""

    metric = "latency_s"

    def prepare(self, arm: Arm) -> str:
        return ""

    def time(self, arm: Arm, first: int, calls: int) -> Timed:
        return Timed(0.0, calls)


class TestWarmUp:
    def test_three_calls_and_half_a_second_before_the_first_observation(self) -> None:
        bench = Bench()
        a, b = bench.arm("a", 2**-12), bench.arm("b", 2**-12, "baseline")
        sampling = Sampling(segment_s=2**-6, warmup_s=0.5)
        first_segments_start: list[float] = []
        stream = compare([a.arm, b.arm], ("b", "fake"), bench.sampler, sampling)
        observation = next(stream)
        first_segments_start.append(bench.clock.now_s - 4 * math.ceil(1.1 * 2**-6 / 2**-12) * 2**-12)
        assert first_segments_start[0] >= 0.5
        assert observation.index == 0

    def test_slow_calls_are_warmed_up_three_times(self) -> None:
        bench = Bench()
        a = bench.arm("a", 4.0)
        next(compare([a.arm], ("a", "fake"), bench.sampler, Sampling()))
        assert len(a.inputs) == 3 + 1 + 2  # warm-up, calibration, two segments of one call


class TestLooks:
    @staticmethod
    def noisy(bench: Bench, width: float) -> list[FakeArm]:
        """b costs 1/8 s; a alternates from observation to observation between e^(± width)/8 s (4 calls of 2 a segment in each)."""

        def cost(now: float, i: int) -> float:
            return 0.125 * math.exp(width * (-1) ** (i // 4))

        return [bench.arm("a", cost), bench.arm("b", 0.125, "baseline")]

    # Log ratios alternate ± w, as in test_statistics: half-widths 2.933·w/3 = 0.978 w at n = 10; at 20: s = w·√(20/19), standard error
    # w/√19, t(1 − 0.05/6, 19) = 2.625: 0.602 w; at 40: w/√39 · 2.501 = 0.400 w. So 1 % is reached at 10 with w = 0.010, at 20 with 0.016,
    # at 40 with 0.024 and never with 0.03.
    @pytest.mark.parametrize(("width", "expected"), [(0.010, 10), (0.016, 20), (0.024, 40), (0.03, 40)])
    def test_stops_at_the_first_look_that_is_precise(self, width: float, expected: int) -> None:
        bench = Bench()
        assert len(bench.run(self.noisy(bench, width), "b")) == expected

    def test_precision_ends_sampling_and_can_be_chosen(self) -> None:
        bench = Bench()
        coarse = Sampling(segment_s=0.125, warmup_s=0.0, precision=0.05)
        assert len(bench.run(self.noisy(bench, 0.03), "b", coarse)) == 10

    def test_looks_are_those_given(self) -> None:
        bench = Bench()
        assert len(bench.run(self.noisy(bench, 0.03), "b", Sampling(segment_s=0.125, warmup_s=0.0, looks=(2, 5)))) == 5

    def test_a_reader_who_stops_has_complete_observations(self) -> None:
        bench = Bench()
        a, b = bench.arm("a", 0.125), bench.arm("b", 0.125, "baseline")
        stream = compare([a.arm, b.arm], ("b", "fake"), bench.sampler, EXACT)
        taken = [next(stream) for _ in range(3)]
        calls = len(a.inputs), len(b.inputs)
        stream.close()
        assert all(set(item.seconds) == {a.arm.key, b.arm.key} for item in taken)
        assert (len(a.inputs), len(b.inputs)) == calls
        assert gc.isenabled()

    def test_defaults_are_those_of_the_method(self) -> None:
        assert (Sampling().segment_s, QUICK.segment_s, Sampling().precision, Sampling().looks) == (0.1, 0.02, 0.01, LOOKS)
        assert (Sampling().warmup_s, Sampling().warmup_calls) == (0.5, 3)

    @pytest.mark.parametrize("bad", [{"segment_s": 0}, {"precision": 0}, {"looks": ()}, {"looks": (0,)}])
    def test_impossible_sampling_is_refused(self, bad: dict) -> None:
        with pytest.raises(ValueError, match="must be above 0"):
            Sampling(**bad)


class TestExcluded:
    def test_an_arm_that_raises_is_named_and_the_others_go_on(self) -> None:
        bench = Bench()

        def broken(now: float, i: int) -> float:
            raise RuntimeError("no kernel for this type\nlong trace")

        found = bench.run([bench.arm("x", broken), bench.arm("a", 0.125), bench.arm("b", 0.25, "baseline")], "b")
        assert isinstance(found[0], Excluded)
        (record,) = found[0].records("sound", {"n": 1})
        assert (record.arm, record.value, record.reason, record.metric) == ("x", None, "RuntimeError: no kernel for this type", "latency_s")
        assert len(found) == 1 + 10
        assert set(found[-1].seconds) == {("a", "fake"), ("b", "fake")}

    def test_without_the_baseline_another_one_stands_in(self) -> None:
        bench = Bench()

        def broken(now: float, i: int) -> float:
            raise ValueError

        noisy = TestLooks.noisy(bench, 0.03)
        found = bench.run([bench.arm("x", broken, "baseline"), *noisy], "x")
        assert found[0].reason == "ValueError"
        assert len(found) == 1 + 40

    def test_no_device_timer_on_a_cpu(self) -> None:
        bench = Bench()
        found = list(compare([bench.arm("a", 0.125).arm, bench.arm("b", 0.125).arm], ("b", "fake"), DeviceTimeSampler("cpu"), EXACT))
        assert [(item.metric, item.reason) for item in found] == [("device_time_s", NO_DEVICE_TIMER)] * 2

    @pytest.mark.parametrize(("names", "baseline"), [(["a", "a"], "a"), (["a", "b"], "c")])
    def test_twins_and_unknown_baselines_are_an_error(self, names: list[str], baseline: str) -> None:
        bench = Bench()
        with pytest.raises(ValueError, match="must be distinct and hold the baseline"):
            bench.run([bench.arm(name, 0.125) for name in names], baseline)


class TestBalancedOrders:
    @pytest.mark.parametrize("k", range(1, 13))
    def test_each_arm_takes_each_place_once(self, k: int) -> None:
        orders = balanced_orders(k)
        assert len(orders) == k
        for place in range(k):
            assert {order[place] for order in orders} == set(range(k))

    @pytest.mark.parametrize("k", range(2, 13))
    def test_mirrored_each_arm_follows_each_other_equally_often(self, k: int) -> None:
        # k rows with k − 1 neighbours, each in both directions: 2 k (k − 1) followings over k (k − 1) ordered pairs: 2 each.
        follows = Counter(pair for order in balanced_orders(k) for way in (order, order[::-1]) for pair in pairwise(way))
        assert set(follows.values()) == {2}
        assert len(follows) == k * (k - 1)

    def test_two_arms(self) -> None:
        assert balanced_orders(2) == [(0, 1), (1, 0)]


@pytest.mark.parametrize(("period", "calls"), [(1, 50), (2, 50), (3, 51), (50, 50), (51, 51), (512, 512), (8, 56)])
def test_graphs_hold_whole_turns_of_at_least_fifty_calls(period: int, calls: int) -> None:
    assert graph_calls(period) == calls


@pytest.mark.gpu
class TestCuda:
    """The real samplers on a real device."""

    DEVICE = "cuda:0"

    @pytest.fixture
    def torch(self):
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device: torch finds none")
        return torch

    def rotation(self, torch, n: int = 2**24):
        return rotated_buffers(lambda i: torch.randn(n, device=self.DEVICE), 4 * n, cache_bytes(self.DEVICE))

    def arm(self, name: str, rotation, function, role="technique") -> Arm:
        return Arm(name, "eager", role, self.DEVICE, "float32", rotation.call(function), rotation.period, rotation.reason)

    def test_rotation_covers_four_times_the_cache(self, torch) -> None:
        rotation = self.rotation(torch)
        held = sum(buffer.nbytes for buffer in rotation.buffers)
        assert held >= 4 * torch.cuda.get_device_properties(self.DEVICE).L2_cache_size
        assert rotation.reason == ""

    def test_graph_time_agrees_with_events_around_eager_calls(self, torch) -> None:
        # 64 MiB read and written is far above launch overhead: eager calls back to back keep the device busy.
        rotation = self.rotation(torch)
        arm = self.arm("relu", rotation, torch.relu)
        sampler = DeviceTimeSampler(self.DEVICE)
        assert sampler.prepare(arm) == ""
        graph = sampler.time(arm, 0, 500)
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        start.record()
        for i in range(graph.calls):
            arm.call(i)
        end.record()
        end.synchronize()
        eager_s = start.elapsed_time(end) / 1e3 / graph.calls
        assert graph.calls >= 500
        assert graph.seconds / graph.calls == pytest.approx(eager_s, rel=0.2)
        bytes_moved = 2 * rotation.buffers[0].nbytes
        assert bytes_moved / (graph.seconds / graph.calls) < 10e12  # no device memory is faster: the cache is cold and work is done

    def test_graph_replays_write_the_outputs(self, torch) -> None:
        rotation = self.rotation(torch, 2**20)
        arm = self.arm("double", rotation, lambda x: x * 2)
        sampler = DeviceTimeSampler(self.DEVICE)
        sampler.prepare(arm)
        for output in rotation.outputs:
            output.fill_(float("nan"))
        sampler.time(arm, 0, rotation.period)
        for buffer, output in zip(rotation.buffers, rotation.outputs, strict=True):
            assert torch.equal(output, buffer * 2)

    def test_backward_can_be_captured(self, torch) -> None:
        rotation = self.rotation(torch, 2**20)
        for buffer in rotation.buffers:
            buffer.requires_grad_(True)
        cotangent = torch.randn(2**20, device=self.DEVICE)
        arm = self.arm("gelu", rotation, lambda x: torch.autograd.grad(torch.nn.functional.gelu(x), x, cotangent)[0])
        sampler = DeviceTimeSampler(self.DEVICE)
        assert sampler.prepare(arm) == ""
        assert sampler.time(arm, 0, 50).seconds > 0

    def test_an_arm_that_cannot_be_captured_is_excluded_and_the_next_ones_are_not(self, torch) -> None:
        rotation = self.rotation(torch, 2**20)
        waits = self.arm("waits", rotation, lambda x: (x + torch.rand_like(x)).sum().item())
        arms = [waits, self.arm("relu", rotation, torch.relu), self.arm("gelu", rotation, torch.nn.functional.gelu, "baseline")]
        before = torch.cuda.current_stream(self.DEVICE)
        sampling = Sampling(segment_s=0.005, warmup_s=0.05, looks=(2,))
        found = list(compare(arms, ("gelu", "eager"), DeviceTimeSampler(self.DEVICE), sampling))
        assert torch.cuda.current_stream(self.DEVICE) == before
        assert isinstance(found[0], Excluded)
        assert found[0].arm.name == "waits"
        assert found[0].reason
        assert [set(item.seconds) for item in found[1:]] == [{("relu", "eager"), ("gelu", "eager")}] * 2
        drawn = [torch.rand(1000, device=self.DEVICE) for _ in range(2)]
        assert not torch.equal(*drawn)  # random numbers can be drawn after the capture that failed, and go on

    @pytest.mark.parametrize("metric", ["latency_s", "device_time_s"])
    def test_identical_arms_measure_alike(self, torch, metric: str) -> None:
        rotation = self.rotation(torch)
        arms = [self.arm("first", rotation, torch.relu), self.arm("second", rotation, torch.relu, "baseline")]
        sampler = LatencySampler(synchronizer(self.DEVICE)) if metric == "latency_s" else DeviceTimeSampler(self.DEVICE)
        found = list(compare(arms, ("second", "eager"), sampler, QUICK))
        series = {arm.name: [item.seconds[arm.key] for item in found] for arm in arms}
        assert len(found) in LOOKS
        assert ratio_interval(series["first"], series["second"]).mean == pytest.approx(1.0, abs=0.02)
