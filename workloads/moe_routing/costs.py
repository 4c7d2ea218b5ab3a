"""Cost formulas of the mixture-of-experts experiment: operations, bytes held, seconds spent. Light: the web server imports this."""

from __future__ import annotations

from lab.parameters import Plan
from lab.shared_parameters import ITEM_BYTES
from lab.workload import DeviceKind, MemoryNeed
from workloads.moe_routing import counts
from workloads.moe_routing.parameters import PUBLISHED_EXPERTS, TUNING_SEEDS, MoeRoutingParameters
from workloads.moe_routing.routings import PUBLISHED_ROUTINGS

BATCH_SIZE, FEATURES, HIDDEN = 128, 64, 32  # of the routing study

# Seconds of one training step of the routing study: so much whatever is trained, and so much for each model and expert.
STEP_S = {"cpu": 1.0e-3, "cuda": 1.0e-3}
MODEL_EXPERT_STEP_S = {"cpu": 6e-5, "cuda": 2e-6}
START_S = {"cpu": 0.2, "cuda": 0.5}  # of a training: data, parameters, graph capture


def routing_step_s(models: int, n_experts: int, device_kind: DeviceKind) -> float:
    """Estimated time [s] of a training step of ``models`` models side by side."""
    return STEP_S[device_kind] + models * n_experts * MODEL_EXPERT_STEP_S[device_kind]


def part_durations_s(cell: MoeRoutingParameters, device_kind: DeviceKind, first: bool) -> dict[str, float]:
    """Estimated seconds of each part that a cell measures, in order; ``first``: of the run."""
    durations: dict[str, float] = {}
    routing = "routing" in cell.studies
    if routing and "published" in cell.protocols and first:
        models = len(PUBLISHED_ROUTINGS) * cell.seeds
        durations["routing_published"] = START_S[device_kind] + cell.steps * routing_step_s(models, PUBLISHED_EXPERTS, device_kind)
    if routing and "sound" in cell.protocols:
        models = len(cell.routings) * (cell.seeds + (cell.rates * len(TUNING_SEEDS) if cell.rates > 1 else 0))
        one = 2 * START_S[device_kind] + cell.steps * routing_step_s(models, cell.n_experts, device_kind)
        durations["routing_sound"] = len(cell.tasks) * one
    return durations or {"routing_published": 0.1}


def duration_s(plan: Plan, device_kind: DeviceKind) -> float:
    """Estimated measuring time [s] of a plan, without start-up and compilation."""
    total = 0.0
    for index, cell in enumerate(plan.cells):
        assert isinstance(cell, MoeRoutingParameters)
        total += sum(part_durations_s(cell, device_kind, first=index == 0).values())
    return total


def memory(cell: MoeRoutingParameters, device_kind: DeviceKind) -> MemoryNeed:
    """Peak bytes of one cell: the larger of the routing study's models and the timed layers."""
    models = len(cell.routings) * max(cell.seeds, cell.rates * len(TUNING_SEEDS))
    per_model = 4 * cell.n_experts * (FEATURES * HIDDEN * 8 + BATCH_SIZE * HIDDEN * 8)
    study = models * per_model + (32 << 20)
    return MemoryNeed(study, study + (256 << 20), "seeds") if device_kind == "cuda" else MemoryNeed(0, study + (256 << 20), "seeds")


def layer_bytes(layer: counts.Layer, tokens: int, dtype: str) -> int:
    """Bytes that a timed layer holds: its weights, its input and output, and k rows of each token at both widths."""
    rows = tokens * layer.top_k
    return ITEM_BYTES[dtype] * (layer.total + 2 * tokens * layer.d_model + rows * (2 * layer.d_model + 2 * layer.d_ff))
