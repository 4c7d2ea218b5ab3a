"""Batches on a CUDA runtime that is arithmetic; on a real one, ends on the host's clock."""

from __future__ import annotations

import sys
import time
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.load import CudaLoad, calls_per_graph
from lab.timing import Arm, graph_calls
from tests.lab.fake_clock import FakeClock

COST_S = 0.25  # of a call on the fake device


class FakeCuda(types.ModuleType):
    """A torch whose device works off calls one after the other; its events know device time, which began 1,000 s before the clock."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__("torch")
        self.clock, self.end_s = clock, 0.0
        self.cuda = types.SimpleNamespace(synchronize=self.synchronize, Event=self.event)

    def synchronize(self, device: str) -> None:
        self.clock.now_s = max(self.clock.now_s, self.end_s)

    def launch(self, i: int) -> None:
        self.end_s = max(self.end_s, self.clock()) + COST_S

    def event(self, enable_timing: bool) -> _FakeEvent:
        assert enable_timing
        return _FakeEvent(self)


class _FakeEvent:
    def __init__(self, torch: FakeCuda) -> None:
        self._torch, self.device_ms = torch, 0.0

    def record(self) -> None:
        self.device_ms = 1e3 * (1000 + max(self._torch.end_s, self._torch.clock()))

    def synchronize(self) -> None:
        pass

    def query(self) -> bool:
        return 1e3 * (1000 + self._torch.clock()) >= self.device_ms

    def elapsed_time(self, later: _FakeEvent) -> float:
        return later.device_ms - self.device_ms


def test_batches_tell_their_ends_on_the_hosts_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    torch = FakeCuda(clock)
    monkeypatch.setitem(sys.modules, "torch", torch)
    inputs: list[int] = []
    arm = Arm("a", "eager", "technique", "cuda:0", "float32", lambda i: (inputs.append(i), torch.launch(i)), period=3)
    load = CudaLoad("cuda:0", clock, graphs=False)
    load.prepare(arm, 0.01)
    clock.advance(7.0)
    load.synchronize()
    first, second = load.submit(arm, 5, 2), load.submit(arm, 7, 1)
    assert inputs == [5, 6, 7]
    assert (first.calls, second.calls) == (2, 1)
    assert first.ended_s() is None
    clock.advance(2 * COST_S)  # two calls have ended at 7.5 s, the third ends at 7.75 s
    assert (first.ended_s(), second.ended_s()) == (pytest.approx(7.5), None)
    clock.advance(10.0)
    assert second.ended_s() == pytest.approx(7.75)  # when it ended, not when it was asked


@pytest.mark.parametrize(
    ("period", "turn_s", "expected"),
    [
        (1, 10e-6, 50),  # 200 calls would fit into 2 ms; device_time_s replays 50
        (1, 100e-6, 20),  # 2 ms / 100 µs
        (8, 400e-6, 40),  # 5 turns of 8
        (8, 1.5e-3, 8),  # one turn
        (8, 30e-3, 8),  # one turn, longer than a batch
        (3, 0.0, 51),  # too short to be timed: the most
    ],
)
def test_graphs_hold_whole_turns_that_fit_into_a_batch(period: int, turn_s: float, expected: int) -> None:
    assert calls_per_graph(period, turn_s, 2e-3) == expected


@given(period=st.integers(1, 512), turn_s=st.floats(0, 1), batch_s=st.floats(1e-4, 0.1))
def test_graphs_never_cut_a_turn(period: int, turn_s: float, batch_s: float) -> None:
    calls = calls_per_graph(period, turn_s, batch_s)
    assert calls % period == 0
    assert period <= calls <= graph_calls(period)


@pytest.mark.gpu
class TestCuda:
    DEVICE = "cuda:0"

    @pytest.fixture
    def torch(self):
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device: torch finds none")
        return torch

    @pytest.mark.parametrize("graphs", [True, False])
    def test_ends_lie_on_the_hosts_clock_in_order(self, torch, graphs: bool) -> None:
        x = torch.randn(2**26, device=self.DEVICE)
        y = torch.empty_like(x)
        arm = Arm("copy", "eager", "technique", self.DEVICE, "float32", lambda i: y.copy_(x))
        load = CudaLoad(self.DEVICE, time.perf_counter, graphs=graphs)
        load.prepare(arm, 0.002)
        load.synchronize()
        start_s = time.perf_counter()
        batches = [load.submit(arm, 0, 100) for _ in range(10)]
        submitted_s = time.perf_counter()
        torch.cuda.synchronize()
        end_s = time.perf_counter()
        ends_s = [batch.ended_s() for batch in batches]
        load.close()
        assert None not in ends_s
        assert ends_s == sorted(ends_s)
        assert start_s - 1e-3 < ends_s[0]
        assert ends_s[-1] < end_s + 1e-3
        assert ends_s[-1] == pytest.approx(end_s, abs=5e-3)  # the host waited for the last one
        assert submitted_s < ends_s[-1]  # and did not while it submitted
        rates = {batch.calls >= 100 for batch in batches}
        assert rates == {True}
