"""Cost formulas of the FFT-Mix experiment: operations, bytes held, seconds spent. Light: the web server imports this.

N tokens a sequence, B sequences, d features, h heads, windows w₁ … w_m. One multiply-add counts as 2 operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lab import energy
from lab.parameters import Plan
from lab.shared_parameters import ITEM_BYTES
from lab.workload import DeviceKind, MemoryNeed
from workloads.fft_mixing.parameters import FftMixingParameters, energy_cell, question_length

CACHE_BYTES_ASSUMED = 64 << 20  # a GPU's L2 (H200: 60 MB) or a CPU's last level, for the estimate before any device was asked
OBSERVATIONS = (10, 20, 40)  # at each look (lab.statistics.LOOKS), for the time estimate
WARM_UP_S = 0.5
GRAPH_CALLS = 50  # least number of calls in a replayed graph (lab.timing.GRAPH_CALLS)
HIDDEN_FROM_S = 3e-4  # calls this long hide the launching of their operations, and are not replayed (lab.measuring.timed)
CHOOSING_S = {"cpu": 0.3, "cuda": 1.0}  # the fastest attention backend, and the check against float64
LIMITS_S = 0.5  # projection and one pass over memory
MATERIALISED_LIMIT_BYTES = {"cpu": 4 << 30, "cuda": 40 << 30}  # of all N × N matrices that an arm holds at once
MATERIALISED_SHARE = 0.8  # of the memory that is free, which they may take at most
MATERIALISED_COPIES = 3  # scores, softmax and the product's or the mean's operand live at once
LONGEST_CALL_S = 20.0  # an arm whose single call is estimated to take longer is left out: one observation would take minutes

# Deliberately low, so that an estimate is rarely short.
FLOP_PER_S = {
    "cpu": {"float32": 5e10, "bfloat16": 1e10, "float16": 5e9},
    "cuda": {"float32": 2e13, "bfloat16": 3e14, "float16": 3e14},
}
BYTES_PER_S = {"cpu": 1e10, "cuda": 2.5e12}
FFT_ELEMENTS_PER_S = {"cpu": 3e7, "cuda": 7e9}  # features that the layer written with torch.fft mixes per second
TRAINING_TOKENS_PER_S = {"cpu": 2e5, "cuda": 3e7}  # through small models side by side, forward and backward
LEAST_STEP_S = {"cpu": 0.01, "cuda": 2e-3}  # of a training step, however small
PUBLISHED_STEP_S = {"cpu": 6e-3, "cuda": 4e-3}
MNIST_STEPS = 782  # batches of 64 in 50,000 images
SEQ_LENS = {"images": 28, "digits": 64, "mnist1d": 40}
TUNED_MODELS = 10  # four or five learning rates, two seeds


def fft_mix_flop(tokens: int, d_model: int, windows: Sequence[int]) -> float:
    """Operations of one FFT-Mix layer by fast transforms: filters, then the projection of m·d features to d.

    A real FFT of length w takes 2.5·w·log₂ w operations (the customary 5·n·log₂ n of a complex one, Cooley and Tukey 1965, halved for real
    input); per window one forward, one inverse and w/2 + 1 complex bins times a real filter (2 operations each).
    """
    per_feature = sum((5 * w * math.log2(w) + 2 * (w // 2 + 1)) / w for w in windows)
    return tokens * d_model * per_feature + projection_flop(tokens, d_model, windows)


def circulant_flop(tokens: int, d_model: int, windows: Sequence[int]) -> int:
    """Operations of one FFT-Mix layer as circular convolutions written out: w multiply-adds per token, feature and window."""
    return 2 * tokens * d_model * sum(windows) + projection_flop(tokens, d_model, windows)


def projection_flop(tokens: int, d_model: int, windows: Sequence[int]) -> int:
    """Operations of the projection m·d → d: 2 · tokens · m·d · d."""
    return 2 * tokens * len(windows) * d_model * d_model


def attention_flop(seq_len: int, batch_size: int, d_model: int) -> int:
    """Operations of one attention layer: four d × d projections (8·N·d²) and two products of N × N per head (4·N²·d), per sequence.

    Vaswani et al. 2017, table 1 gives the orders; every key counts, as bidirectional attention has it.
    """
    return batch_size * (8 * seq_len * d_model * d_model + 4 * seq_len * seq_len * d_model)


def weights_bytes(params: FftMixingParameters) -> int:
    """Bytes of the matrices that attention materialises when it returns its weights: copies of B × h × N × N."""
    matrix = params.batch_size * params.n_heads * params.seq_len**2 * ITEM_BYTES[params.dtype]
    return MATERIALISED_COPIES * matrix * (2 if params.mode == "forward_backward" else 1)


def why_not_materialised(params: FftMixingParameters, device_kind: DeviceKind, free_bytes: int | None = None) -> str:
    """Why an arm that holds N × N matrices is left out at this size; "" where it is measured.

    ``free_bytes``: memory of the device that is free, where it is known.
    """
    need, limit = weights_bytes(params), MATERIALISED_LIMIT_BYTES[device_kind]
    if free_bytes is not None:
        limit = min(limit, int(MATERIALISED_SHARE * free_bytes))
    if need > limit:
        return (
            f"left out: its matrices of N × N would take {need / 2**30:,.1f} GiB "
            f"({params.batch_size} × {params.n_heads} heads × {params.seq_len:,}²), more than {limit / 2**30:,.1f} GiB"
        )
    return why_not_timed(params, device_kind)


def why_not_timed(params: FftMixingParameters, device_kind: DeviceKind) -> str:
    """Why attention of any kind is left out at this size; "" where it is measured."""
    call_s = attention_s(params, device_kind)
    return f"left out: one call would take about {call_s:.0f} s" if call_s > LONGEST_CALL_S else ""


def attention_s(params: FftMixingParameters, device_kind: DeviceKind) -> float:
    """Estimated time [s] of one call of fused attention."""
    backward = 3.5 if params.mode == "forward_backward" else 1.0
    flop = attention_flop(params.seq_len, params.batch_size, params.d_model)
    return backward * flop / FLOP_PER_S[device_kind][params.dtype]


def module_s(params: FftMixingParameters, device_kind: DeviceKind) -> float:
    """Estimated time [s] of one call of the module returning its weights: ten passes over its N × N matrices."""
    return attention_s(params, device_kind) + 10 / MATERIALISED_COPIES * weights_bytes(params) / BYTES_PER_S[device_kind]


def fft_mix_s(params: FftMixingParameters, device_kind: DeviceKind) -> float:
    """Estimated time [s] of one call of the layer written with torch.fft."""
    elements = params.batch_size * params.seq_len * params.d_model
    backward = 3.0 if params.mode == "forward_backward" else 1.0
    scales = len(params.windows) / 3  # the rate was taken with three windows
    return backward * scales * elements / FFT_ELEMENTS_PER_S[device_kind]


def arm_calls_s(params: FftMixingParameters, device_kind: DeviceKind) -> list[float]:
    """Estimated time [s] of one call of each arm of a layer comparison."""
    fft_mix = fft_mix_s(params, device_kind)
    calls = [fft_mix, fft_mix / 2]
    if params.peers:
        calls += [fft_mix / 2, fft_mix / 2]
    if not why_not_timed(params, device_kind):
        calls.append(attention_s(params, device_kind))
    if not why_not_materialised(params, device_kind):
        calls.append(module_s(params, device_kind))
    return calls


def duration_s(plan: Plan, device_kind: DeviceKind) -> float:
    """Estimated measuring time [s] of a plan, without start-up and compilation."""
    total = 0.0
    first = plan.cells[0]
    assert isinstance(first, FftMixingParameters)
    if "speed" in first.studies:
        for cell in plan.cells:
            assert isinstance(cell, FftMixingParameters)
            total += layers_s(cell, device_kind)
        total += training_step_s(first, device_kind) + _energy_s(plan, device_kind)
    if "accuracy" in first.studies:
        total += published_training_s(first, device_kind) + sound_training_s(first, device_kind)
    return total


def _observations(params: FftMixingParameters) -> int:
    return OBSERVATIONS[min(params.looks, 2) - 1]  # most comparisons are precise enough by 20


def layers_s(params: FftMixingParameters, device_kind: DeviceKind) -> float:
    """Estimated time [s] of one cell's comparison of layers."""
    calls = arm_calls_s(params, device_kind)
    passes = 2 * _observations(params)
    total = WARM_UP_S + passes * sum(max(params.segment_s, call) for call in calls) + 5 * sum(calls) + CHOOSING_S[device_kind] + LIMITS_S
    if device_kind == "cuda":
        replays = [max(params.segment_s, GRAPH_CALLS * call) for call in calls if call < HIDDEN_FROM_S]
        total += WARM_UP_S + passes * sum(replays) if replays else 0.0
    return total


def training_step_s(params: FftMixingParameters, device_kind: DeviceKind) -> float:
    """Estimated time [s] of the published models' training steps, on the CPU and, where asked for, on a GPU; one takes 5 to 10 ms."""
    arms = 4
    places = 2 if device_kind == "cuda" and params.device_step else 1
    return places * (WARM_UP_S + 2 * arms * _observations(params) * max(params.segment_s, 0.01))


def _energy_s(plan: Plan, device_kind: DeviceKind) -> float:
    cell = plan.cells[energy_cell(plan)]
    assert isinstance(cell, FftMixingParameters)
    if cell.energy == "none" or device_kind != "cuda":
        return 0.0
    return energy.duration_s(4, energy.EFFORTS[cell.energy])


def memory(cell: FftMixingParameters, device_kind: DeviceKind) -> MemoryNeed:
    """Peak bytes of one cell; a batch of fewer tokens needs less.

    Rotating inputs of four caches (at least one), also for the projection alone, and their outputs; the largest arm's temporaries: the
    layer written with torch.fft holds its input in fp32, complex spectra and all scales side by side, attention its queries, keys and
    values; float64 copies for the check. The N × N matrices of attention that returns its weights are not in it: where they do not fit,
    that arm is left out (:func:`why_not_materialised`), and the run goes on.
    """
    activations = cell.batch_size * cell.seq_len * cell.d_model
    item = ITEM_BYTES[cell.dtype]
    scales = len(cell.windows)
    backward = 2 if cell.mode == "forward_backward" else 1
    rotating = max(activations * item * (1 + scales), 4 * CACHE_BYTES_ASSUMED) * (1 + backward)
    temporaries = activations * max(12 + scales * (4 + item), 5 * item) * backward
    checked = 8 * cell.seq_len * cell.d_model * 4
    weights = 16 * (4 + scales) * cell.d_model**2
    need = rotating + temporaries + checked + weights
    if device_kind == "cuda":
        return MemoryNeed(device_bytes=need, host_bytes=2 << 30, parameter="tokens")
    return MemoryNeed(device_bytes=0, host_bytes=need + (1 << 30), parameter="tokens")


def published_training_s(params: FftMixingParameters, device_kind: DeviceKind) -> float:
    """Estimated time [s] of the published training: both models, epochs of as many steps as MNIST has batches.

    Where it falls back on digits it takes a fortieth of that.
    """
    if not params.published_epochs:
        return 0.0
    return 2 * params.published_epochs * MNIST_STEPS * PUBLISHED_STEP_S[device_kind]


def sound_training_s(params: FftMixingParameters, device_kind: DeviceKind) -> float:
    """Estimated time [s] of the trainings of the sound protocol, the tuning of learning rates included."""
    arms = 4 if params.peers else 2
    total = 0.0
    for task in params.tasks:
        asked = task in ("recall", "copy")
        places = len(params.distances) if asked else 1
        seq_len = question_length(params) if asked else SEQ_LENS[task]
        for models in (params.seeds, TUNED_MODELS) if params.tuned else (params.seeds,):
            tokens = models * places * params.batch_size_trained * seq_len
            total += arms * params.steps * max(LEAST_STEP_S[device_kind], tokens / TRAINING_TOKENS_PER_S[device_kind])
    return total
