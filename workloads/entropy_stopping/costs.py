"""Cost formulas of the early-stopping experiment: seconds spent and bytes held. Light: the web server imports this."""

from __future__ import annotations

from lab import energy
from lab.parameters import Plan
from lab.workload import DeviceKind, MemoryNeed
from workloads.entropy_stopping.parameters import EntropyStoppingParameters

# Items for training, validation and test, and values of one input.
SIZES = {"digits": (1_078, 359, 360, 64), "mnist": (50_000, 10_000, 10_000, 784), "idx": (50_000, 10_000, 10_000, 784)}
TEXT_SIZES = (12_000, 2_000, 2_000, 8 * 96)
CLASSES = {"text": 96}
HIDDEN = 128

STEP_S = {"cpu": 2.5e-3, "cuda": 1.5e-3}  # of a training step, however small
FLOP_PER_S = {"cpu": 4e10, "cuda": 5e12}  # of small batched products, forward and backward
CNN_VALUES_PER_S = {"cpu": 1.2e7, "cuda": 2e10}  # pixels × examples that the convolutions train on per second
TUNING_MODELS = 8  # four rates, two seeds
START_S = {"cpu": 0.1, "cuda": 0.5}  # of each training: parameters, graph capture


def sizes(cell: EntropyStoppingParameters) -> tuple[int, int, int, int]:
    """Items for training, validation and test, and values of one input."""
    return SIZES.get(cell.data, TEXT_SIZES)


def parameter_count(cell: EntropyStoppingParameters) -> int:
    """Of one model."""
    values, classes = sizes(cell)[3], CLASSES.get(cell.data, 10)
    mlp = values * HIDDEN + HIDDEN + HIDDEN * classes + classes
    if cell.model == "cnn":
        return 80 + 1_168 + (values // 16) * 16 * classes + classes  # 3×3 convolutions 1 → 8 → 16, then a linear layer
    return mlp * (2 if cell.model == "difference" else 1)


def epoch_s(cell: EntropyStoppingParameters, models: int, items: int, device_kind: DeviceKind) -> float:
    """Estimated time [s] of training ``models`` models on ``items`` examples once: 6 operations per parameter and example."""
    steps = -(-items // cell.batch_size)
    if cell.model == "cnn":
        return steps * STEP_S[device_kind] + models * items * sizes(cell)[3] / CNN_VALUES_PER_S[device_kind]
    return steps * STEP_S[device_kind] + 6 * models * items * parameter_count(cell) / FLOP_PER_S[device_kind]


def step_flop(cell: EntropyStoppingParameters) -> int:
    """Operations of one training step of the models that train together: 6 per parameter, place it is used at and example.

    The CNN uses its first convolution (8 kernels of 9) at every value of an image and its second (16 of 72) at every fourth.
    """
    used = parameter_count(cell)
    if cell.model == "cnn":
        values = sizes(cell)[3]
        used += 8 * 9 * values + 16 * 72 * (values // 4)
    return 6 * max(cell.seeds, TUNING_MODELS) * cell.batch_size * used


def part_durations_s(cell: EntropyStoppingParameters, device_kind: DeviceKind) -> dict[str, float]:
    """Estimated seconds of each part of a cell, in order."""
    train, validation, test, _ = sizes(cell)
    watched = 1 + validation / train / 2  # an evaluation has no backward pass and takes a third to a half
    parts: dict[str, float] = {}
    if "published" in cell.protocols:
        parts["published"] = START_S[device_kind] + watched * cell.epochs * epoch_s(cell, cell.seeds, train + validation, device_kind)
    if "sound" in cell.protocols:
        epochs = watched * cell.epochs + sum(cell.lengths)
        parts["sound"] = (1 + len(cell.lengths)) * START_S[device_kind] + epochs * epoch_s(cell, cell.seeds, train, device_kind)
        if cell.tuned:
            tuned = cell.epochs + sum(cell.lengths)
            parts["sound"] += 1.1 * tuned * epoch_s(cell, TUNING_MODELS, train, device_kind)  # some grids are extended
        observations = (10, 20, 40)[cell.looks - 1]
        timers = 2 if device_kind == "cuda" else 1
        parts["cost"] = timers * (1.0 + 4 * observations * max(cell.segment_s, epoch_s(cell, 1, cell.batch_size, device_kind)))
        if cell.energy != "none" and device_kind == "cuda":
            parts["cost"] += energy.duration_s(2, energy.EFFORTS[cell.energy])
        parts["test"] = cell.epochs * epoch_s(cell, cell.seeds, test, device_kind) / 2
    return parts


def duration_s(plan: Plan, device_kind: DeviceKind) -> float:
    """Estimated measuring time [s] of a plan, without start-up and compilation."""
    total = 0.0
    for cell in plan.cells:
        assert isinstance(cell, EntropyStoppingParameters)
        total += sum(part_durations_s(cell, device_kind).values())
    return total


def memory(cell: EntropyStoppingParameters, device_kind: DeviceKind) -> MemoryNeed:
    """Peak bytes of one cell: data, parameters after each epoch, what an evaluation holds, and whether each test item was right."""
    train, validation, test, values = sizes(cell)
    classes = CLASSES.get(cell.data, 10)
    models = max(cell.seeds, TUNING_MODELS if cell.tuned else 0)
    data = 4 * 2 * (train + validation + test) * values
    snapshots = 4 * cell.seeds * cell.epochs * parameter_count(cell)
    state = 4 * 8 * models * parameter_count(cell)
    width = 8 * values + 16 * values // 4 if cell.model == "cnn" else 2 * HIDDEN + values
    evaluated = 4 * models * 2_048 * (3 * width + 6 * classes)
    correct = 9 * cell.epochs * cell.seeds * (validation + 2 * test)
    need = data + snapshots + state + evaluated
    if device_kind == "cuda":
        return MemoryNeed(device_bytes=need, host_bytes=correct + data + (2 << 30), parameter="seeds")
    return MemoryNeed(device_bytes=0, host_bytes=need + correct + (1 << 30), parameter="seeds")
