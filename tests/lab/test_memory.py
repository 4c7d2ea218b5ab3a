"""Peak memory of one call, against bytes counted by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lab.memory import NO_RESERVE, PeakMemory, numpy_peak_memory, torch_peak_memory
from lab.rotation import Rotation
from lab.timing import Arm

N = 1_000_000
BYTES = 4 * N  # one float32 array of N


def arm(function, value, device: str = "cpu") -> Arm:
    return Arm("a", "x", "technique", device, "float32", Rotation((value,)).call(function))


class TestNumpy:
    X = np.random.default_rng(0).standard_normal(N).astype(np.float32)

    @pytest.mark.parametrize(
        ("function", "arrays"),
        [
            (lambda x: x + x, 1),  # the output
            (lambda x: np.exp(np.add(x, x)), 2),  # a temporary and the output
            (lambda x: [x + x, x - x, x * x], 3),  # three outputs
            (lambda x: float(x.sum()), 0),  # no array at all
        ],
    )
    def test_temporaries_and_output(self, function, arrays: int) -> None:
        found = numpy_peak_memory(arm(function, self.X))
        assert found.allocated_bytes == pytest.approx(arrays * BYTES, abs=4096)  # Python objects
        assert (found.reserved_bytes, found.reason) == (None, NO_RESERVE)

    def test_tracing_is_left_as_it_was(self) -> None:
        numpy_peak_memory(arm(lambda x: x + x, self.X))
        assert not tracemalloc.is_tracing()
        tracemalloc.start()
        try:
            found = numpy_peak_memory(arm(lambda x: x + x, self.X))
            assert tracemalloc.is_tracing()
        finally:
            tracemalloc.stop()
        assert found.allocated_bytes == pytest.approx(BYTES, abs=4096)

    def test_failure_is_a_reason(self) -> None:
        found = numpy_peak_memory(arm(lambda x: x[N + 1], self.X))
        assert found.allocated_bytes is None
        assert found.reason.startswith("IndexError: ")
        assert not tracemalloc.is_tracing()


class TestTorchOnCpu:
    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch")

    def test_temporaries_and_output(self, torch) -> None:
        x = torch.randn(N)
        assert torch_peak_memory(arm(lambda x: x + x, x)).allocated_bytes == pytest.approx(BYTES, abs=4096)
        # x·x, then the sum into a second array while the first is alive; scalars take a few bytes.
        assert torch_peak_memory(arm(lambda x: x * x + 1.0, x)).allocated_bytes == pytest.approx(2 * BYTES, abs=4096)

    def test_what_autograd_saves_counts(self, torch) -> None:
        # exp saves its output: it is alive together with the gradient, whose cotangent was there before.
        x, cotangent = torch.randn(N, requires_grad=True), torch.randn(N)
        found = torch_peak_memory(arm(lambda x: torch.autograd.grad(torch.exp(x), x, cotangent)[0], x))
        assert found.allocated_bytes == pytest.approx(2 * BYTES, abs=4096)

    def test_failure_is_a_reason(self, torch) -> None:
        found = torch_peak_memory(arm(lambda x: x @ x[:2], torch.randn(3)))
        assert found.allocated_bytes is None
        assert found.reason.startswith("RuntimeError: ")


def test_records_of_both_metrics() -> None:
    first, second = PeakMemory(arm(abs, -1), 100, None, NO_RESERVE).records("sound", {"k": 1})
    assert (first.metric, first.value, first.unit, first.repeat, first.reason) == ("peak_memory_bytes", 100, "B", None, "")
    assert (second.metric, second.value, second.reason) == ("peak_reserved_bytes", None, NO_RESERVE)
    assert first.dimensions == second.dimensions == {"k": 1}


@pytest.mark.gpu
def test_cuda_peaks_by_hand() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: torch finds none")
    n = 2**24  # 64 MiB: far above the allocator's rounding of 512 bytes and its blocks of 2 and 20 MiB
    x, other = torch.randn(n, device="cuda:0"), torch.randn(n, device="cuda:0")
    one = torch_peak_memory(arm(lambda x: x + x, x, "cuda:0"))
    two = torch_peak_memory(arm(lambda x: x * x + 1.0, x, "cuda:0"))
    assert one.allocated_bytes == 4 * n
    assert two.allocated_bytes == 2 * 4 * n
    assert one.reserved_bytes is not None  # less than the output where other tests left room in a block that is in use
    assert other.nbytes == 4 * n  # what else is alive does not count
