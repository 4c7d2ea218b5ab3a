"""Cost formulas of the training diagnostics: bytes held, seconds spent. Light: the web server imports this."""

from __future__ import annotations

from lab.parameters import Plan
from lab.workload import DeviceKind, MemoryNeed
from workloads.training_diagnostics.nulls import NULLS
from workloads.training_diagnostics.parameters import BATCH_SIZE, DIGITS_TRAIN, MNIST_TRAIN, TrainingDiagnosticsParameters
from workloads.training_diagnostics.takens import DIMENSIONS

IMAGE_RUNS, PEAKS, IMAGE_EMBEDDING = "image runs", "peaks", "embedding of the image runs"
TRANSITION_RUNS, DETECTION, ADDITION_EMBEDDING = "runs with a transition", "detection", "embedding of the runs with a transition"

STEP_S = {"cpu": 8e-4, "cuda": 1.5e-4}  # of a training step, whatever is trained
FLOPS = {"cpu": 2.2e10, "cuda": 1e12}  # reached by these small products
RATIO_S = 2.2e-8  # per loss, null series and window
CLOUD_S = 6e-3  # of a cloud's score and persistence at 100 points; persistence grows with the cube of the points
START_S = {"cpu": 0.3, "cuda": 1.0}
MAX_EMBEDDED = 6  # runs with a transition whose losses are embedded


def image_steps(cell: TrainingDiagnosticsParameters) -> int:
    """Losses of an image run, about."""
    images = MNIST_TRAIN if cell.images == "mnist" else DIGITS_TRAIN
    return images // BATCH_SIZE[cell.images] * cell.epochs


def part_durations_s(cell: TrainingDiagnosticsParameters, device_kind: DeviceKind) -> dict[str, float]:
    """Estimated seconds of each part of a run, in order."""
    start, windows = START_S[device_kind], len(cell.windows)
    durations: dict[str, float] = {}
    steps = image_steps(cell)
    if "peaks" in cell.studies or ("embedding" in cell.studies and "images" in cell.embedded):
        pixels = 784 if cell.images == "mnist" else 64
        flops = 6 * BATCH_SIZE[cell.images] * 128 * (pixels + 10) * cell.image_seeds
        durations[IMAGE_RUNS] = start + steps * (STEP_S[device_kind] + flops / FLOPS[device_kind])
    if "peaks" in cell.studies:
        durations[PEAKS] = 0.2 + cell.image_seeds * 4 * cell.nulls * steps * windows * RATIO_S
    cloud_s = CLOUD_S * (0.6 + 0.4 * (cell.points / 100) ** 2.5)
    curve_s = len(DIMENSIONS) * (1 + len(NULLS) * cell.surrogates) * cloud_s
    if "embedding" in cell.studies and "images" in cell.embedded:
        durations[IMAGE_EMBEDDING] = cell.image_seeds * curve_s
    if "detection" in cell.studies:
        flops = 2 * cell.seeds * 6 * cell.batch_size * cell.width * 3 * cell.modulus
        durations[TRANSITION_RUNS] = start + cell.steps * (STEP_S[device_kind] + flops / FLOPS[device_kind])
        durations[DETECTION] = 2 * cell.seeds * (2 + 1 / cell.average) * cell.nulls * cell.steps * windows * RATIO_S
        if "embedding" in cell.studies and "addition" in cell.embedded:
            durations[ADDITION_EMBEDDING] = min(cell.seeds, MAX_EMBEDDED) * curve_s
    return durations


def duration_s(plan: Plan, device_kind: DeviceKind) -> float:
    """Estimated measuring time [s] of a plan."""
    return sum(sum(part_durations_s(cell, device_kind).values()) for cell in plan.cells)  # type: ignore[arg-type, misc]


def memory(cell: TrainingDiagnosticsParameters, device_kind: DeviceKind) -> MemoryNeed:
    """Peak bytes of the trainings and of the null series, whichever is larger, and what a process holds anyway."""
    models, n_pairs = 2 * cell.seeds, cell.modulus**2
    parameters = models * 3 * cell.modulus * cell.width
    trained = 4 * (6 * parameters + models * n_pairs * (3 * cell.modulus + 2 * cell.width))
    images = 4 * (MNIST_TRAIN * 784 if cell.images == "mnist" else DIGITS_TRAIN * 64)
    # Frames overlap by half: twice the losses, in several copies (frames, spectrum, median).
    nulls = 8 * 12 * cell.nulls * max(cell.steps, image_steps(cell))
    used = trained + images
    host = nulls + (used if device_kind == "cpu" else images) + (1 << 29)
    return MemoryNeed(used if device_kind == "cuda" else 0, host, "seeds" if trained > nulls else "nulls")
