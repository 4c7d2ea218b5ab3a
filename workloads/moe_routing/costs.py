"""Cost formulas of the mixture-of-experts experiment: operations, bytes held, seconds spent. Light: the web server imports this."""

from __future__ import annotations

from lab import energy
from lab.parameters import Plan
from lab.shared_parameters import ITEM_BYTES
from lab.workload import DeviceKind, MemoryNeed
from workloads.moe_routing import counts
from workloads.moe_routing.parameters import PUBLISHED_EXPERTS, TUNING_SEEDS, MoeRoutingParameters, expert_width
from workloads.moe_routing.routings import PUBLISHED_ROUTINGS

# Parts of a cell, in the order in which they are measured.
ROUTING_PUBLISHED, ROUTING_SOUND, LOSS_PUBLISHED, LOSS_SOUND, SPEED = (
    "routing, published",
    "routing, sound",
    "loss, published",
    "loss, sound",
    "speed",
)

BATCH_SIZE, FEATURES, HIDDEN = 128, 64, 32  # of the routing study
# Seconds of one training step of the routing study: so much whatever is trained, and so much for each model and expert.
STEP_S = {"cpu": 1.0e-3, "cuda": 1.0e-3}
MODEL_EXPERT_STEP_S = {"cpu": 7e-5, "cuda": 2e-6}
START_S = {"cpu": 0.2, "cuda": 0.5}  # of a training: data, parameters, graph capture

LM_TOKENS, LM_LAYERS = 512, 4  # of a step of one character model
LM_STEP_S = {"cpu": 0.02, "cuda": 4e-3}  # of a step, whatever its models
LM_FLOP_PER_S = {"cpu": 1.5e10, "cuda": 5e12}

# Deliberately low, so that an estimate is rarely short.
FLOP_PER_S = {
    "cpu": {"float32": 3e10, "bfloat16": 1e10, "float16": 5e9},
    "cuda": {"float32": 2e13, "bfloat16": 2.5e14, "float16": 2.5e14},
}
SLOW_LOOP = 4.0  # times the products' time that the loop over experts takes
OBSERVATIONS = (10, 20, 40)
WARM_UP_S = 0.5
ENERGY_ARMS = 4
CACHE_BYTES_ASSUMED = 64 << 20


def routing_step_s(models: int, n_experts: int, device_kind: DeviceKind) -> float:
    """Estimated time [s] of a training step of ``models`` routed models side by side."""
    return STEP_S[device_kind] + models * n_experts * MODEL_EXPERT_STEP_S[device_kind]


def character_step_s(layer: counts.Layer, models: int, device_kind: DeviceKind) -> float:
    """Estimated time [s] of a training step of ``models`` character models: three times the forward operations, and a constant."""
    used = layer.block_active if device_kind == "cpu" else layer.total + 4 * layer.d_model**2
    return LM_STEP_S[device_kind] + 6 * LM_TOKENS * LM_LAYERS * used * models / LM_FLOP_PER_S[device_kind]


def part_durations_s(cell: MoeRoutingParameters, device_kind: DeviceKind, first: bool) -> dict[str, float]:
    """Estimated seconds of each part that a cell measures, in order; ``first``: of the run."""
    durations: dict[str, float] = {}
    published, sound = ("published" in cell.protocols), ("sound" in cell.protocols)
    if "routing" in cell.studies and published and first:
        models = len(PUBLISHED_ROUTINGS) * cell.seeds
        durations[ROUTING_PUBLISHED] = START_S[device_kind] + cell.steps * routing_step_s(models, PUBLISHED_EXPERTS, device_kind)
    if "routing" in cell.studies and sound:
        models = len(cell.routings) * (cell.seeds + (cell.rates * len(TUNING_SEEDS) if cell.rates > 1 else 0))
        one = 2 * START_S[device_kind] + cell.steps * routing_step_s(models, cell.n_experts, device_kind)
        durations[ROUTING_SOUND] = len(cell.tasks) * one
    d_model = counts.PUBLISHED_D_MODEL
    mixtures = (
        counts.standard(d_model, cell.layer_experts, cell.top_k),
        counts.small(d_model, cell.layer_experts, cell.top_k, cell.split),
    )
    dense = counts.standard(d_model, 1, 1)
    if "loss" in cell.studies and published and first:
        experts, top_k, split = counts.PUBLISHED_LAYER
        trained = (counts.standard(d_model, experts, top_k), counts.small(d_model, experts, top_k, split), dense)
        durations[LOSS_PUBLISHED] = sum(
            START_S[device_kind] + cell.steps * character_step_s(layer, cell.seeds, device_kind) for layer in trained
        )
    if "loss" in cell.studies and sound and first:
        models = cell.seeds + max(3, cell.rates) * len(TUNING_SEEDS)
        step_s = sum(character_step_s(layer, models, device_kind) for layer in (*mixtures, dense, dense, dense, mixtures[0]))
        durations[LOSS_SOUND] = 12 * START_S[device_kind] + 2 * cell.steps * step_s
    if "speed" in cell.studies and first:
        durations[SPEED] = _speed_s(cell, device_kind)
    return durations


def _layers(cell: MoeRoutingParameters) -> list[counts.Layer]:
    """The layers that are timed: two mixtures and their dense FFNs."""
    standard = counts.standard(cell.d_model, cell.layer_experts, cell.top_k)
    small = counts.small(cell.d_model, cell.layer_experts, cell.top_k, cell.split)
    dense = [counts.Layer(cell.d_model, cell.top_k * layer.d_ff) for layer in (standard, small)]
    return [standard, small, *dense, counts.Layer(cell.d_model, cell.layer_experts * expert_width(cell.d_model))]


def _speed_s(cell: MoeRoutingParameters, device_kind: DeviceKind) -> float:
    passes = 1 if cell.mode == "forward" else 3
    calls_s = [passes * layer.flop(cell.tokens) / FLOP_PER_S[device_kind][cell.dtype] for layer in _layers(cell)]
    standard, small, *dense = calls_s
    arms_s = [SLOW_LOOP * standard, standard, SLOW_LOOP * small, small, small, *dense]
    if device_kind == "cuda":
        arms_s += [standard, small, small]
    observations = OBSERVATIONS[0] if cell.looks == 1 else OBSERVATIONS[1]
    timers = 1.5 if device_kind == "cuda" else 1  # where launches are hidden behind the products nothing is replayed
    total = timers * (WARM_UP_S + 2 * observations * sum(max(cell.segment_s, call_s) for call_s in arms_s))
    if cell.energy != "none" and device_kind == "cuda":
        total += energy.duration_s(ENERGY_ARMS, energy.EFFORTS[cell.energy])
    return total


def duration_s(plan: Plan, device_kind: DeviceKind) -> float:
    """Estimated measuring time [s] of a plan, without start-up and compilation."""
    total = 0.1
    for index, cell in enumerate(plan.cells):
        assert isinstance(cell, MoeRoutingParameters)
        total += sum(part_durations_s(cell, device_kind, first=index == 0).values())
    return total


def memory(cell: MoeRoutingParameters, device_kind: DeviceKind) -> MemoryNeed:
    """Peak bytes of one cell: of the trained models or the timed layers, whichever need more."""
    needs = {"seeds": _routing_bytes(cell), "tokens": _layer_bytes(cell) if "speed" in cell.studies else 0}
    if "loss" in cell.studies:
        models = max(cell.seeds, max(3, cell.rates) * len(TUNING_SEEDS))
        wide = cell.layer_experts * expert_width(counts.PUBLISHED_D_MODEL)
        kept = counts.PUBLISHED_D_MODEL * wide * 2 * 5 + LM_TOKENS * wide * 6  # parameters with Adam's state; values of all experts
        needs["layer_experts"] = max(4 * LM_LAYERS * kept * models, 1)
    parameter = max(needs, key=needs.__getitem__)
    need = needs[parameter]
    host = 256 << 20
    return MemoryNeed(need, host, parameter) if device_kind == "cuda" else MemoryNeed(0, need + host, parameter)


def _routing_bytes(cell: MoeRoutingParameters) -> int:
    models = len(cell.routings) * max(cell.seeds, cell.rates * len(TUNING_SEEDS))
    per_model = 4 * cell.n_experts * (FEATURES * HIDDEN * 8 + BATCH_SIZE * HIDDEN * 8)
    return models * per_model + (32 << 20)


def _layer_bytes(cell: MoeRoutingParameters) -> int:
    """The weights of all timed layers, rotated inputs and outputs, and the rows of the widest layer."""
    item = ITEM_BYTES[cell.dtype]
    layers = _layers(cell)
    weights = sum(layer.total for layer in layers) + 3 * layers[1].total  # small experts also padded and rounded up
    tokens = cell.tokens * cell.d_model
    rotated = 2 * max(4 * CACHE_BYTES_ASSUMED, item * tokens)
    rows = max(cell.tokens * layer.top_k * (2 * cell.d_model + 2 * layer.d_ff) for layer in layers)
    passes = 1 if cell.mode == "forward" else 3
    return passes * item * (weights + rows) + passes * rotated
