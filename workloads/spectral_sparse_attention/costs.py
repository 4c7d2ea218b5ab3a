"""Cost formulas of the SSA experiment: operations, memory held, seconds spent. Light: the web server imports this."""

from __future__ import annotations

from lab import energy
from lab.parameters import Plan
from lab.shared_parameters import ITEM_BYTES
from lab.workload import DeviceKind, MemoryNeed
from workloads.spectral_sparse_attention.paper import FIGURE3A, FIGURE3B, TABLE6
from workloads.spectral_sparse_attention.parameters import EXACT_SPECTRUM_N, SsaParameters, energy_cells, longest, nearest_root

# What this machine may hold of one N × N table of naive attention (scores, weights and a temporary), and what a reader may be made to wait.
NAIVE_BYTES = {"cpu": 2 << 30, "cuda": 32 << 30}
NAIVE_TABLES = 3  # logits, weights, and one while the scale is applied
LONGEST_CALL_S = {"cpu": 2.0, "cuda": 0.2}
LONGEST_DENSE_S = {"cpu": 2.0, "cuda": 5.0}  # what every long sequence is compared with
LONGEST_FAST_S = {"cpu": 20.0, "cuda": 5.0}  # few clusters keep nearly all edges of a long sequence
FIDELITY_N = {"cpu": 2048, "cuda": 1 << 15}  # longest sequence compared with float64 dense attention
GRADIENT_N = {"cpu": 1024, "cuda": 4096}  # its gradients need the N × N table
OBSERVATIONS = (10, 20, 40)
WARM_UP_S = 0.5

# Deliberately low, so that an estimate is rarely short.
FLOP_PER_S = {"cpu": 6e10, "cuda": 2e14}
NAIVE_BYTES_PER_S = {"cpu": 3e9, "cuda": 1e12}
KMEANS_FLOP_PER_S = {"cpu": 1e10, "cuda": 5e12}
OPERATION_S = {"cpu": 5e-6, "cuda": 1e-5}  # of one small operation that the host launches
OPERATIONS_PER_BLOCK = 20  # of eager SSA: up to 128 queries of one cluster meet its keys and their samples
OPERATIONS_PER_STEP = 12  # of k-means and of each seed of k-means++


def edges(n: int, k: int, s: int) -> int:
    """Edges that SSA keeps of N² where clusters are equal: N (N/k + s), at most N²."""
    return min(n * n, n * (n // k + s))


def attention_flop(n_edges: int, head_dim: int) -> int:
    """Operations of attention over ``n_edges`` edges of one head: 2 · head_dim for the score, as many for the values."""
    return 4 * n_edges * head_dim


def kmeans_flop(n: int, k: int, m: int, steps: int) -> int:
    """Operations of k-means on projected queries of one head: a product of tokens and centres for each step, and one for the seeds."""
    return 2 * n * k * m * (steps + 2)


def naive_bytes(cell: SsaParameters) -> int:
    """Memory of naive dense attention: scores, weights and a temporary, each heads × N × N."""
    return NAIVE_TABLES * cell.n_heads * cell.n * cell.n * ITEM_BYTES[cell.dtype]


def eager_bytes(cell: SsaParameters) -> int:
    """Memory of eager SSA: keys and values gathered for each query, and the indices of its samples while they are drawn."""
    sampled = cell.n_heads * cell.n * cell.sampled(cell.n)
    return sampled * (2 * cell.head_dim * ITEM_BYTES[cell.dtype] + 12 * 8)


def naive_obstacle(cell: SsaParameters, device_kind: DeviceKind) -> str:
    """Why naive dense attention is left out at this N; "" where it can run."""
    need, most = naive_bytes(cell), NAIVE_BYTES[device_kind]
    if need > most:
        return f"its N × N matrix does not fit: {cell.n_heads} × {cell.n:,}² needs {need / 2**30:.3g} GiB, {most / 2**30:.3g} are allowed"
    return _too_slow(naive_s(cell, device_kind), device_kind)


def dense_obstacle(cell: SsaParameters, device_kind: DeviceKind) -> str:
    """Why fused dense attention is left out at this N; "" where it can run."""
    seconds, most = dense_s(cell, device_kind), LONGEST_DENSE_S[device_kind]
    return f"one call is estimated to take {seconds:.2g} s, more than {most:g} s" if seconds > most else ""


def fast_obstacle(cell: SsaParameters, device_kind: DeviceKind) -> str:
    """Why the fast SSA is left out at this N and k; "" where it can run."""
    seconds, most = fast_s(cell, device_kind), LONGEST_FAST_S[device_kind]
    return f"one call is estimated to take {seconds:.2g} s, more than {most:g} s: lower N or choose another k" if seconds > most else ""


def eager_obstacle(cell: SsaParameters, device_kind: DeviceKind) -> str:
    """Why eager SSA is left out at this N: keys and values gathered for each query; "" where it can run."""
    need = eager_bytes(cell)
    if need > NAIVE_BYTES[device_kind]:
        return f"its gathered samples do not fit: {need / 2**30:.3g} GiB, {NAIVE_BYTES[device_kind] / 2**30:.3g} are allowed"
    return _too_slow(eager_s(cell, device_kind), device_kind)


def _too_slow(seconds: float, device_kind: DeviceKind) -> str:
    most = LONGEST_CALL_S[device_kind]
    return f"one call is estimated to take {seconds:.2g} s, more than {most:g} s" if seconds > most else ""


def naive_s(cell: SsaParameters, device_kind: DeviceKind) -> float:
    """Estimated time [s] of naive dense attention: its products and its passes over the table."""
    product_s = cell.n_heads * attention_flop(cell.n**2, cell.head_dim) / FLOP_PER_S[device_kind]
    return product_s + 2 * naive_bytes(cell) / NAIVE_TABLES / NAIVE_BYTES_PER_S[device_kind]


def dense_s(cell: SsaParameters, device_kind: DeviceKind) -> float:
    """Estimated time [s] of fused dense attention."""
    return cell.n_heads * attention_flop(cell.n**2, cell.head_dim) / FLOP_PER_S[device_kind]


def eager_s(cell: SsaParameters, device_kind: DeviceKind) -> float:
    """Estimated time [s] of eager SSA: its many small operations, and its passes over the edges."""
    n, k, s = cell.n, cell.clusters(cell.n), cell.sampled(cell.n)
    operations = cell.n_heads * (k + n // 128) * OPERATIONS_PER_BLOCK + (k + cell.kmeans_steps) * OPERATIONS_PER_STEP
    gathered = 4 * cell.n_heads * edges(n, k, s) * cell.head_dim * ITEM_BYTES[cell.dtype]
    return operations * OPERATION_S[device_kind] + gathered / NAIVE_BYTES_PER_S[device_kind]


def fast_s(cell: SsaParameters, device_kind: DeviceKind) -> float:
    """Estimated time [s] of fast SSA."""
    n, k, s = cell.n, cell.clusters(cell.n), cell.sampled(cell.n)
    clustering_s = cell.n_heads * kmeans_flop(n, k, cell.m, 12) / KMEANS_FLOP_PER_S[device_kind]
    attention_s = cell.n_heads * attention_flop(edges(n, k, s), cell.head_dim) / (FLOP_PER_S[device_kind] / 4)
    return clustering_s + attention_s + (2e-3 if device_kind == "cpu" else 2e-4)


def longest_call_s(cell: SsaParameters, device_kind: DeviceKind) -> float:
    """Estimated time [s] of the slowest arm that is timed."""
    ways = ((naive_obstacle, naive_s), (dense_obstacle, dense_s), (eager_obstacle, eager_s))
    return max((estimate(cell, device_kind) for obstacle, estimate in ways if not obstacle(cell, device_kind)), default=0.0)


def duration_s(plan: Plan, device_kind: DeviceKind) -> float:
    """Estimated measuring time [s] of a plan, without start-up and compilation."""
    total = 0.0
    cells = [cell for cell in plan.cells if isinstance(cell, SsaParameters)]
    for cell in cells:
        if "speed" in cell.parts:
            total += _speed_s(cell, device_kind)
        if "fidelity" in cell.parts and cell.n <= FIDELITY_N[device_kind]:
            total += cell.seeds * _reference_s(cell.n, cell.head_dim, device_kind, 9 + (8 if cell.n <= GRADIENT_N[device_kind] else 0))
    return total + _whole_run_s(plan, device_kind) + _energy_s(plan, device_kind)


def _speed_s(cell: SsaParameters, device_kind: DeviceKind) -> float:
    observations = OBSERVATIONS[0] if cell.looks == 1 else OBSERVATIONS[1]
    ways = ((naive_obstacle, naive_s), (dense_obstacle, dense_s), (eager_obstacle, eager_s))
    calls_s = [estimate(cell, device_kind) for obstacle, estimate in ways if not obstacle(cell, device_kind)]
    if not fast_obstacle(cell, device_kind):
        calls_s.append(fast_s(cell, device_kind))
    if device_kind == "cuda" and not dense_obstacle(cell, device_kind):
        calls_s.append(dense_s(cell, device_kind))  # a second backend
    latencies_s = WARM_UP_S + 2 * observations * sum(max(cell.segment_s, call_s) for call_s in calls_s)
    return latencies_s * (1.5 if device_kind == "cuda" else 1) + 4 * sum(calls_s)


def _reference_s(n: int, head_dim: int, device_kind: DeviceKind, arms: int) -> float:
    """Of one data set: a table of dense attention, ``arms`` sparse outputs, and the host's small operations for clusters and blocks."""
    table_s = attention_flop(n * n, head_dim) / (FLOP_PER_S[device_kind] / 4)
    blocks = n // 64 if device_kind == "cpu" else n * n >> 24
    operations = (nearest_root(n) + 25) * OPERATIONS_PER_STEP + arms * blocks * OPERATIONS_PER_BLOCK
    return table_s * (1 + 0.2 * arms) + operations * OPERATION_S[device_kind]


def _whole_run_s(plan: Plan, device_kind: DeviceKind) -> float:
    """What is measured once: eigenproblems of float64 matrices, table 6 and figure 3, quality, the text model."""
    cell = plan.cells[0]
    assert isinstance(cell, SsaParameters)
    flop_per_s = 2e10 if device_kind == "cpu" or cell.spectrum_n <= EXACT_SPECTRUM_N else 1e12
    n, k, total = cell.spectrum_n, cell.clusters(cell.spectrum_n), 0.0
    eigen_s = (20 * n**3 if n <= EXACT_SPECTRUM_N else 15 * 4 * n * n * (k + 8)) / flop_per_s
    if "spectrum" in cell.parts:
        total += cell.seeds * (6 * eigen_s + 10 * 20 * min(n, 512) ** 3 / 2e10) + 1
    if "table6" in cell.parts:
        lengths = [rows for rows in TABLE6 if rows <= longest(plan)]
        total += 2 + cell.seeds * 2 * sum(_reference_s(rows, cell.head_dim, device_kind, 1) for rows in lengths)
    if "ablation" in cell.parts:
        literal = cell.model_copy(update={"n": 4096, "k": 64, "s": 64, "n_heads": 1})
        call_s = max(cell.segment_s, naive_s(literal, device_kind)) + max(cell.segment_s, eager_s(literal, device_kind))
        cells = len(FIGURE3A) + len(FIGURE3B) + 1
        total += cells * cell.seeds * _reference_s(4096, cell.head_dim, device_kind, 1) + (cells + 5) * (WARM_UP_S + 24 * call_s)
    if "quality" in cell.parts:
        total += 5 * cell.seeds * (eigen_s / 3 + _reference_s(n, cell.head_dim, device_kind, 1))
    if "text" in cell.parts or cell.data == "text":
        total += 5.0
    return total


def _energy_s(plan: Plan, device_kind: DeviceKind) -> float:
    """Joules of fast SSA and of the fastest dense attention, in the cells of ``energy_cells``."""
    cell = plan.cells[0]
    assert isinstance(cell, SsaParameters)
    if cell.energy == "none" or device_kind != "cuda" or "speed" not in cell.parts:
        return 0.0
    return len(energy_cells(plan)) * energy.duration_s(2, energy.EFFORTS[cell.energy])


def memory(cell: SsaParameters, device_kind: DeviceKind) -> MemoryNeed:
    """Peak bytes of one cell, and which parameter to lower."""
    item = ITEM_BYTES[cell.dtype]
    tokens = 4 * cell.n_heads * cell.n * cell.head_dim * item
    speed = 8 * tokens + (0 if naive_obstacle(cell, device_kind) else naive_bytes(cell))
    if not eager_obstacle(cell, device_kind):
        speed += eager_bytes(cell)
    spectrum = 8 * 8 * cell.spectrum_n**2 if "spectrum" in cell.parts else 0  # float64 matrices of the three graphs and their Laplacians
    need, parameter = max((speed, "n"), (spectrum, "spectrum_n"))
    if device_kind == "cuda":
        return MemoryNeed(device_bytes=need + (1 << 30), host_bytes=2 << 30, parameter=parameter)
    return MemoryNeed(device_bytes=0, host_bytes=need + (1 << 30), parameter=parameter)
