"""Cost formulas of the calibration: how long each stage takes and what it holds. Light: the web server imports this."""

from __future__ import annotations

from lab.parameters import Plan
from lab.workload import DeviceKind, MemoryNeed
from workloads.calibration.parameters import BLOCK_CALLS, INJECTED_PERCENT, CalibrationParameters

ITEM_BYTES = 4  # fp32
STREAM_ELEMENTS = {"cpu": 1 << 16, "cuda": 1 << 23}  # of the kernel that is compared with itself
TIMED_ELEMENTS = {"cpu": 1 << 21, "cuda": 1 << 27}  # of the kernel that is also timed by an independent timer: over 200 µs
TIMED_MATRIX = {"cpu": 512, "cuda": 4096}  # side of the matrix product that is
CACHE_BYTES_ASSUMED = 64 << 20
WARMUP_S = 0.5
IDLE_GAP_S = 0.2  # before each burst
BURST_S = 0.05
OBSERVATIONS = (10, 20, 40)  # at each look; most comparisons are precise enough by the second, where there is one

Shape = tuple[int, int, int]  # rows, columns, inner dimension


def shapes(n: int) -> tuple[Shape, ...]:
    """The matrix products of a calibration, made from the side n: two cubes, a wide one and one with a long inner dimension."""
    half = max(n // 2, 1)
    return (n, n, n), (half, half, half), (2 * n, n, half), (half, half, 2 * n)


def flop(shape: Shape) -> int:
    """Floating-point operations of a matrix product: one multiplication and one addition for each rows × columns × inner."""
    rows, columns, inner = shape
    return 2 * rows * columns * inner


def stages(cell: CalibrationParameters, device_kind: DeviceKind) -> dict[str, float]:
    """Estimated seconds of each stage, in order; set-up is not counted.

    Rates are deliberately low (copy 8 GB/s on a CPU, 1.5 TB/s on a GPU; products 50 GFLOP/s and 300 TFLOP/s; 60 µs for a streaming
    call on a CPU, 24 µs on a GPU), so that the estimate is rarely short.
    """
    gpu = device_kind == "cuda"
    observations = OBSERVATIONS[min(cell.looks, 2) - 1]
    call_s = 24e-6 if gpu else 60e-6
    copy_s = max(cell.segment_s, 2 * cell.copy_bytes / (1.5e12 if gpu else 8e9))
    product_s = [flop(shape) / (3e14 if gpu else 5e10) for shape in shapes(cell.matrix_n)]
    matrix_s = sum(
        3 * call + cell.matrix_repeats * (IDLE_GAP_S + max(BURST_S, call) + max(cell.sustained_s, 2 * call)) for call in product_s
    )
    one_s = 4 * observations * cell.segment_s * 1.2 + 0.01
    block_s = 4 * (observations + 1) * max(cell.segment_s * 1.2, 2 * BLOCK_CALLS * call_s)
    timed_s = 4 * max(cell.segment_s, 0.02) * 10 + WARMUP_S
    return {
        "idle power": 2 * cell.idle_s + 1.0 if gpu else 0.0,
        "copy bandwidth": WARMUP_S + 2 * 10 * copy_s,
        "matrix rate": matrix_s,
        "launch overhead": (2 if gpu else 1) * (WARMUP_S + 2 * 10 * cell.segment_s),
        "an arm against itself": WARMUP_S + cell.comparisons * one_s * (2 if gpu and cell.device_timer else 1),
        "known effects": len(INJECTED_PERCENT) * cell.injected_comparisons * block_s,
        "independent timer": 2 * timed_s,
    }


def duration_s(plan: Plan, device_kind: DeviceKind) -> float:
    """Estimated measuring time [s] of a plan, without start-up."""
    return sum(sum(stages(cell, device_kind).values()) for cell in plan.cells if isinstance(cell, CalibrationParameters))


def memory(cell: CalibrationParameters, device_kind: DeviceKind) -> MemoryNeed:
    """Peak bytes: the largest of the copy's rotated pairs, three matrices, and the rotated inputs and outputs of the timed kernels."""
    copy = 2 * max(cell.copy_bytes, 4 * CACHE_BYTES_ASSUMED)
    matrices = 3 * max(max(r * c, r * i, i * c) for r, c, i in shapes(cell.matrix_n)) * ITEM_BYTES
    stream = 3 * max(TIMED_ELEMENTS[device_kind] * ITEM_BYTES, 4 * CACHE_BYTES_ASSUMED)
    peak = max(copy, matrices, stream)
    return MemoryNeed(peak, 1 << 30) if device_kind == "cuda" else MemoryNeed(0, peak + (1 << 29))
