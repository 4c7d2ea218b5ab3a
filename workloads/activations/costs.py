"""Cost formulas of the activation experiment: bytes moved, memory held, seconds spent. Light: the web server imports this."""

from __future__ import annotations

from lab.parameters import Plan
from lab.workload import DeviceKind, MemoryNeed
from workloads.activations.operation_count import tensors_moved
from workloads.activations.parameters import COPY, ActivationParameters

ITEM_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
CACHE_BYTES_ASSUMED = 64 << 20  # a GPU's L2 (H200: 60 MB) or a CPU's last level, for the estimate before any device was asked
OBSERVATIONS = (10, 20, 40)  # at each look (lab.statistics.LOOKS), for the time estimate


def arm_count(cell: ActivationParameters, device_kind: DeviceKind) -> int:
    """Arms of one mirrored pass at the cell's own N (copy exists once)."""
    ways = [
        way for way in cell.implementations if way in (("eager", "compiled", "fused") if device_kind == "cuda" else ("eager", "compiled"))
    ]
    return len(ways) * len(set(cell.functions) - {COPY}) + (COPY in cell.functions)


def bytes_per_element(mode: str, dtype: str) -> int:
    """Fewest bytes through memory per element in ``mode`` ("derivative" reads x and writes f′, like a forward pass)."""
    tensors = tensors_moved("forward") + (tensors_moved("backward") if mode == "forward_backward" else 0)
    return ITEM_BYTES[dtype] * tensors


def duration_s(plan: Plan, device_kind: DeviceKind) -> float:
    """Estimated measuring time [s] of a plan, without start-up and compilation.

    A mirrored pass has two segments per arm; a slow call makes its segment longer than asked for. Rates are deliberately low
    (CPU 2 GB/s of effective traffic for an unfused expression, GPU 500 GB/s), so that the estimate is rarely short.
    """
    total = 0.0
    for index, cell in enumerate(plan.cells):
        assert isinstance(cell, ActivationParameters)
        observations = OBSERVATIONS[0] if cell.looks == 1 else OBSERVATIONS[1]  # most comparisons are precise enough by 20
        call_s = cell.n * bytes_per_element(cell.mode, cell.dtype) / (5e11 if device_kind == "cuda" else 2e9)
        timers = 2 if device_kind == "cuda" else 1
        total += timers * (0.5 + 2 * observations * arm_count(cell, device_kind) * max(cell.segment_s, call_s))
        if index == 0 and "numpy" in cell.implementations:
            passes = 1 if cell.mode == "forward" else 2
            total += passes * (0.5 + 2 * observations * (8 * max(cell.segment_s, 2e-3) + max(cell.segment_s, 60e-3)))
    return total


def memory(cell: ActivationParameters, device_kind: DeviceKind) -> MemoryNeed:
    """Peak bytes of one cell: rotating inputs of four caches (at least one tensor), outputs likewise, and unfused temporaries.

    The unfused expression holds up to four intermediate tensors at once; with backward its saved tensors stay alive too.
    """
    tensor = cell.n * ITEM_BYTES[cell.dtype]
    rotating = max(tensor, 4 * CACHE_BYTES_ASSUMED)
    inputs = rotating * (1 if cell.mode == "forward" else 2)
    working = 2 * rotating + tensor * (4 if cell.mode == "forward" else 8)
    if device_kind == "cuda":
        return MemoryNeed(device_bytes=inputs + working, host_bytes=1 << 30)
    return MemoryNeed(device_bytes=0, host_bytes=inputs + working + (1 << 30))
