"""Cost formulas of the activation experiment: bytes moved, operations, memory held, seconds spent. Light: the web server imports this."""

from __future__ import annotations

from lab import energy
from lab.parameters import Plan
from lab.shared_parameters import ITEM_BYTES
from lab.workload import DeviceKind, MemoryNeed
from workloads.activations.learning import costs as learning_costs
from workloads.activations.operation_count import tensors_moved
from workloads.activations.parameters import COPY, ActivationParameters, energy_cell, measured_cells

CACHE_BYTES_ASSUMED = 64 << 20  # a GPU's L2 (H200: 60 MB) or a CPU's last level, for the estimate before any device was asked
OBSERVATIONS = (10, 20, 40)  # at each look (lab.statistics.LOOKS), for the time estimate
WARM_UP_S = 0.5
GRAPH_CALLS = 50  # least number of calls in a replayed graph (lab.timing.GRAPH_CALLS)
LONG_CALL_S = 5e-3  # launching the few kernels of a block takes some 10 µs: far below 1 % of a call this long

# Deliberately low, so that an estimate is rarely short: effective traffic of an unfused expression, and matrix products.
BYTES_PER_S = {"cpu": 2e9, "cuda": 5e11}
FLOP_PER_S = {
    "cpu": {"float32": 3e10, "bfloat16": 1e10, "float16": 5e9},
    "cuda": {"float32": 3e13, "bfloat16": 3e14, "float16": 3e14},
}


def arm_count(cell: ActivationParameters, device_kind: DeviceKind) -> int:
    """Arms of one mirrored pass at the cell's own size: the functions and the limit, a copy or blocks without activation."""
    ways = {"eager", "compiled", "fused"} if device_kind == "cuda" else {"eager", "compiled"}
    functions = len(ways & set(cell.implementations)) * len(set(cell.functions) - {COPY})
    if cell.mode == "ffn":
        return functions + 1 + ("compiled" in cell.implementations)
    return functions + (COPY in cell.functions)


def bytes_per_element(mode: str, dtype: str) -> int:
    """Fewest bytes through memory per element in ``mode`` ("derivative" reads x and writes f′, like a forward pass)."""
    tensors = tensors_moved("forward") + (tensors_moved("backward") if mode == "forward_backward" else 0)
    return ITEM_BYTES[dtype] * tensors


def ffn_flop(tokens: int, d_model: int, d_ff: int) -> int:
    """Operations of the two matrix products of a feed-forward block: 2 · tokens · d_model · d_ff each."""
    return 4 * tokens * d_model * d_ff


def ffn_call_s(cell: ActivationParameters, d_ff: int, device_kind: DeviceKind) -> float:
    """Estimated time [s] of one block of width ``d_ff``: its products, and an unfused activation's traffic."""
    products = ffn_flop(cell.tokens, cell.d_model, d_ff) / FLOP_PER_S[device_kind][cell.dtype]
    return products + cell.tokens * d_ff * bytes_per_element("forward", cell.dtype) / BYTES_PER_S[device_kind]


def device_timed(cell: ActivationParameters, device_kind: DeviceKind) -> bool:
    """Whether replayed graphs are timed inside an FFN: where a call is long they repeat the latency at fifty times its price."""
    longest_s = max(ffn_call_s(cell, width, device_kind) for width in (cell.d_ff, *cell.widths.values()))
    return device_kind == "cuda" and longest_s <= LONG_CALL_S


def duration_s(plan: Plan, device_kind: DeviceKind) -> float:
    """Estimated measuring time [s] of a plan, without start-up and compilation.

    A mirrored pass has two segments per arm; a slow call makes its segment longer than asked for.
    """
    total = sum(cell_s(plan, index, device_kind) for index in measured_cells(plan)) + _energy_s(plan, device_kind)
    first = plan.cells[0]
    assert isinstance(first, ActivationParameters)
    return total + learning_costs.duration_s(first, device_kind) if "learning" in first.studies else total


def cell_s(plan: Plan, index: int, device_kind: DeviceKind) -> float:
    """Estimated time [s] of timing one cell of ``plan``, without joules."""
    cell = plan.cells[index]
    assert isinstance(cell, ActivationParameters)
    return _ffn_s(cell, device_kind) if cell.mode == "ffn" else _elementwise_s(cell, device_kind, first=index == 0)


def _observations(cell: ActivationParameters) -> int:
    return OBSERVATIONS[0] if cell.looks == 1 else OBSERVATIONS[1]  # most comparisons are precise enough by 20


def _elementwise_s(cell: ActivationParameters, device_kind: DeviceKind, first: bool) -> float:
    call_s = cell.n * bytes_per_element(cell.mode, cell.dtype) / BYTES_PER_S[device_kind]
    pass_s = 2 * arm_count(cell, device_kind) * max(cell.segment_s, call_s)
    timers = 2 if device_kind == "cuda" else 1
    observations = {"cold": _observations(cell), "warm": OBSERVATIONS[0]}
    total = sum(timers * (WARM_UP_S + observations[cache] * pass_s) for cache in cell.cache)
    if first and "numpy" in cell.implementations:
        passes = 1 if cell.mode == "forward" else 2
        total += passes * (WARM_UP_S + 2 * _observations(cell) * (8 * max(cell.segment_s, 2e-3) + max(cell.segment_s, 60e-3)))
    return total


def _ffn_s(cell: ActivationParameters, device_kind: DeviceKind) -> float:
    widths = list(cell.widths.values()) if len(cell.widths) > 1 else []
    calls_s = [ffn_call_s(cell, width, device_kind) for width in (*[cell.d_ff] * arm_count(cell, device_kind), *widths)]
    comparisons = 2 if widths else 1
    total = comparisons * WARM_UP_S + 2 * _observations(cell) * sum(max(cell.segment_s, call_s) for call_s in calls_s)
    if device_timed(cell, device_kind):
        replays_s = [max(cell.segment_s, GRAPH_CALLS * call_s) for call_s in calls_s]
        total += comparisons * WARM_UP_S + 2 * _observations(cell) * sum(replays_s)
    return total


def _energy_s(plan: Plan, device_kind: DeviceKind) -> float:
    """Of the one cell in which joules are measured, on a GPU: each function's eager arm and its fastest single kernel, and the limit."""
    index = energy_cell(plan)
    if index < 0:
        return 0.0
    cell = plan.cells[index]
    assert isinstance(cell, ActivationParameters)
    if cell.energy == "none" or device_kind != "cuda":
        return 0.0
    settings = energy.EFFORTS[cell.energy]
    ways = ("eager" in cell.implementations) + bool({"compiled", "fused"} & set(cell.implementations))
    arms = ways * len(set(cell.functions) - {COPY}) + (cell.mode == "ffn" or COPY in cell.functions)
    total = energy.duration_s(arms, settings)
    return total + energy.duration_s(len(cell.widths), settings) if cell.mode == "ffn" and len(cell.widths) > 1 else total


def memory(cell: ActivationParameters, device_kind: DeviceKind) -> MemoryNeed:
    """Peak bytes of one cell, and which parameter to lower."""
    needs = {}
    if "speed" in cell.studies:
        needs["tokens" if cell.mode == "ffn" else "n"] = _ffn_bytes(cell) if cell.mode == "ffn" else _elementwise_bytes(cell)
    if "learning" in cell.studies:
        needs["batch_size"] = learning_costs.memory_bytes(cell)
    parameter, need = max(needs.items(), key=lambda item: item[1])
    if device_kind == "cuda":
        return MemoryNeed(device_bytes=need, host_bytes=1 << 30, parameter=parameter)
    return MemoryNeed(device_bytes=0, host_bytes=need + (1 << 30), parameter=parameter)


def _elementwise_bytes(cell: ActivationParameters) -> int:
    """Rotating inputs of four caches (at least one tensor), outputs likewise, and unfused temporaries.

    The unfused expression holds up to four intermediate tensors at once; with backward its saved tensors stay alive too.
    """
    tensor = cell.n * ITEM_BYTES[cell.dtype]
    rotating = max(tensor, 4 * CACHE_BYTES_ASSUMED)
    inputs = rotating * (1 if cell.mode == "forward" else 2)
    return inputs + 2 * rotating + tensor * (4 if cell.mode == "forward" else 8)


def _ffn_bytes(cell: ActivationParameters) -> int:
    """Rotating inputs and weights, their outputs, the hidden tensors of an unfused activation, and float64 weights for the check.

    The comparison of widths comes after the other, when its inputs are gone, and holds one set for each width.
    """
    item = ITEM_BYTES[cell.dtype]

    def held(d_ff: int) -> int:
        one = item * (cell.tokens * cell.d_model + 2 * cell.d_model * d_ff)
        return 2 * max(one, 4 * CACHE_BYTES_ASSUMED)

    def working(d_ff: int) -> int:
        return 6 * item * cell.tokens * d_ff + 2 * 8 * cell.d_model * d_ff

    functions = held(cell.d_ff) + working(cell.d_ff)
    widths = sum(held(width) for width in cell.widths.values()) + max(working(width) for width in cell.widths.values())
    return max(functions, widths)
