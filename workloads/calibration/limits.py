"""The physical limits of a device: copy bandwidth, matrix rate, cost of a launch. Runs in the worker only."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from lab import calibration as names
from lab.records import Phase, Progress, Record, Scalar
from lab.rotation import cache_bytes, rotated_buffers
from lab.timing import Arm, DeviceTimeSampler, Excluded, LatencySampler, Sampler, Sampling, compare, synchronizer
from workloads.calibration.costs import BURST_S, IDLE_GAP_S, ITEM_BYTES, Shape, flop, shapes
from workloads.calibration.parameters import CalibrationParameters

Events = Iterator[Phase | Progress | Record]


def dimensions(*, condition: str = "", size: str = "", timer: str = "", injected_percent: int = 0) -> dict[str, Scalar]:
    """The dimensions of a record; what does not apply is "" or 0."""
    return {"condition": condition, "size": size, "timer": timer, "injected_percent": injected_percent}


def copy_bandwidth(params: CalibrationParameters, device: str, sampling: Sampling) -> Events:
    """Bytes read and written per second by a copy between two buffers, pairs rotated so that no cache holds them."""
    yield Phase("copy bandwidth", f"{params.copy_bytes:,} bytes")
    generator = torch.Generator(device).manual_seed(params.seed)
    elements = params.copy_bytes // ITEM_BYTES

    def make(_: int) -> tuple[Tensor, Tensor]:
        source = torch.randn(elements, device=device, generator=generator)
        return source, source.flip(0)  # random as well: pages that nobody has written to are not memory yet

    rotation = rotated_buffers(make, params.copy_bytes, cache_bytes(device))
    arm = Arm("copy", "eager", "baseline", device, "float32", rotation.call(lambda pair: pair[1].copy_(pair[0])), rotation.period)
    moved = 2 * elements * ITEM_BYTES
    size = dimensions(size=f"{params.copy_bytes:,} B", timer=names.LATENCY)
    for outcome in compare([arm], arm.key, LatencySampler(synchronizer(device)), sampling):
        if isinstance(outcome, Excluded):
            yield arm.record("sound", names.COPY_RATE, None, "B/s", reason=outcome.reason, dimensions=size)
            return
        rate = moved / outcome.seconds[arm.key]
        yield arm.record("sound", names.COPY_RATE, rate, "B/s", repeat=outcome.index, reason=rotation.reason, dimensions=size)
        yield Progress((outcome.index + 1) / max(sampling.looks), "copy")


def matrix_rate(params: CalibrationParameters, device: str) -> Events:
    """Operations per second of products of random matrices, in a burst after a pause and sustained, for each shape.

    Burst: the products of the first 50 ms. Sustained: those of the second half of ``sustained_s`` of further products without a pause.
    """
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    word = str(dtype).removeprefix("torch.")
    generator = torch.Generator(device).manual_seed(params.seed)
    found = shapes(params.matrix_n)
    for place, shape in enumerate(found):
        rows, columns, inner = shape
        size = " × ".join(map(str, shape))
        yield Phase("matrix rate", f"{word}, {size}")
        a = torch.randn(rows, inner, device=device, generator=generator).to(dtype)
        b = torch.randn(inner, columns, device=device, generator=generator).to(dtype)
        out = torch.empty(rows, columns, device=device, dtype=dtype)
        product = _Products(a, b, out, shape, device)
        product.rate(0.0)  # the first call sets the library up
        for repeat in range(params.matrix_repeats):
            time.sleep(IDLE_GAP_S)
            burst = product.rate(BURST_S)
            product.rate(params.sustained_s / 2)
            sustained = product.rate(params.sustained_s / 2)
            for window, value in ((names.BURST, burst), (names.SUSTAINED, sustained)):
                where = dimensions(condition=window, size=size)
                yield Record(
                    *("sound", "matrix_product", "baseline", "eager", device, word, names.MATRIX_RATE, value, "FLOP/s"),
                    repeat=repeat,
                    dimensions=where,
                )
            yield Progress((place + (repeat + 1) / params.matrix_repeats) / len(found), size)


class _Products:
    """Back-to-back products of one shape; remembers how long one takes, to know how many fill a stretch of time."""

    def __init__(self, a: Tensor, b: Tensor, out: Tensor, shape: Shape, device: str) -> None:
        self._a, self._b, self._out, self._flop = a, b, out, flop(shape)
        self._synchronize = synchronizer(device)
        self._call_s = 0.0

    def rate(self, seconds: float) -> float:
        """FLOP/s over about ``seconds`` of products, at least one."""
        calls = max(1, round(seconds / self._call_s)) if self._call_s else 1
        self._synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            torch.mm(self._a, self._b, out=self._out)
        self._synchronize()
        elapsed = time.perf_counter() - start
        if calls > 1 or self._call_s:
            self._call_s = elapsed / calls
        else:  # the set-up: time another for what one really takes
            start = time.perf_counter()
            torch.mm(self._a, self._b, out=self._out)
            self._synchronize()
            self._call_s = time.perf_counter() - start
        return calls * self._flop / elapsed


def launch_overhead(params: CalibrationParameters, device: str, sampling: Sampling) -> Events:
    """Seconds per call of a kernel that adds 1 to one number, back to back: launched one by one, and replayed in a graph."""
    yield Phase("launch overhead")
    number = torch.randn(1, device=device)
    eager = Arm("one_number", "eager", "baseline", device, "float32", lambda i: number.add_(1.0))
    graph = Arm("one_number", "graph", "baseline", device, "float32", lambda i: number.add_(1.0))
    graph_sampler = DeviceTimeSampler(device)
    timed: tuple[tuple[Arm, Sampler], ...] = ((eager, LatencySampler(synchronizer(device))), (graph, graph_sampler))
    for place, (arm, sampler) in enumerate(timed):
        where = dimensions(timer=sampler.metric)
        for outcome in compare([arm], arm.key, sampler, sampling):
            if isinstance(outcome, Excluded):
                yield arm.record("sound", names.LAUNCH, None, "s", reason=outcome.reason, dimensions=where)
            else:
                yield arm.record("sound", names.LAUNCH, outcome.seconds[arm.key], "s", repeat=outcome.index, dimensions=where)
        yield Progress((place + 1) / 2, f"launch, {arm.implementation}")
    graph_sampler.close()
