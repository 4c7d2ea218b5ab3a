"""Cost formulas of the learning study: operations, seconds, memory. Light: the web server imports this.

A training step costs 6 operations per weight and example (2 forward, 4 backward); attention is small beside that at the lengths that are
offered. Elementwise work and a fixed time for the launches of a step come on top. Rates are rounded down.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from lab import energy
from lab.workload import DeviceKind
from workloads.activations.functions import TECHNIQUES
from workloads.activations.learning import toy, xor
from workloads.activations.learning.names import DIGITS, PERMUTATION, SHOWN_PERMUTATION, TEXT, XOR, XOR3
from workloads.activations.parameters import ActivationParameters

FLOP_PER_S = {"cpu": 2.0e10, "cuda": 1.2e13}
STEP_S = {"cpu": 1.5e-4, "cuda": 1.5e-5}  # per layer: launches, and on the CPU what elementwise work costs at the least
START_S = {"cpu": 0.01, "cuda": 0.3}  # of one training: drawing parameters, capturing a graph
DIGITS_FEATURES, DIGITS_CLASSES, TEXT_VOCABULARY = 64, 10, 103
BYTES_PER_FLOAT = 4
HELD_PER_UNIT = 8  # floats an unfused activation and its surroundings keep for the backward pass, per unit of a hidden layer


@dataclass(frozen=True)
class Shape:
    """One task at one depth: weights of a model, examples (images, characters) and hidden units of a step of one model, layers."""

    weights: int
    examples: int
    units: int
    layers: int


def shape(task: str, depth: int, params: ActivationParameters) -> Shape:
    """What a training step of ``task`` at ``depth`` works on."""
    if task == TEXT:
        d, tokens = params.width, params.batch_size * params.seq_len
        return Shape(
            12 * d * d * depth + 2 * TEXT_VOCABULARY * d, tokens, (12 * d + params.n_heads) * depth + 2 * TEXT_VOCABULARY, 8 * depth
        )
    if task == DIGITS:
        widths = [DIGITS_FEATURES, *[params.width] * depth, DIGITS_CLASSES]
        examples = params.batch_size
    elif task in (XOR, XOR3):
        widths, examples = [3, xor.HIDDEN, 2], xor.POINTS
    else:
        widths, examples = [toy.CLASSES + toy.PERMUTATIONS, toy.HIDDEN, toy.CLASSES], toy.BATCH_SIZE
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    return Shape(weights, examples, sum(widths), len(widths) - 1)


def training_s(task: str, depth: int, steps: int, models: int, params: ActivationParameters, device_kind: DeviceKind) -> float:
    """Estimated seconds of training ``models`` models together."""
    work = shape(task, depth, params)
    flop = 6 * work.weights * work.examples * models
    held = work.units * work.examples * models
    elementwise_s = held * 60 / FLOP_PER_S[device_kind]
    return START_S[device_kind] + steps * (flop / FLOP_PER_S[device_kind] + elementwise_s + STEP_S[device_kind] * work.layers)


def sound_tasks(params: ActivationParameters) -> list[tuple[str, int]]:
    """Tasks with their depths, in the order in which they are compared."""
    found: list[tuple[str, int]] = []
    if "mlp" in params.trainings:
        found += [(PERMUTATION, 1), (SHOWN_PERMUTATION, 1), (XOR, 1), (XOR3, 1)]
        found += [(DIGITS, int(depth)) for depth in params.depths]
    if "character" in params.trainings:
        found += [(TEXT, int(depth)) for depth in params.depths]
    return found


def models_together(params: ActivationParameters) -> int:
    """The most models that are trained together: a grid of rates, or all reported seeds at two rates."""
    return max(params.rates * params.tuning_seeds, 2 * params.seeds)


def sound_s(task: str, depth: int, params: ActivationParameters, device_kind: DeviceKind) -> float:
    """Estimated seconds of comparing all functions on one task at one depth; one extension of the grid is allowed for."""
    total = 0.0
    for name in params.learning_functions:
        tuning = (params.rates + 1) * params.tuning_seeds
        reported = params.seeds * (2 if name in TECHNIQUES else 1)
        total += sum(training_s(task, depth, params.steps, models, params, device_kind) for models in (tuning, reported))
    return total


def sound_shares(params: ActivationParameters, device_kind: DeviceKind) -> dict[tuple[str, int], float]:
    """Each task and depth of the sound comparison with its share of the time, of 1."""
    seconds = {key: sound_s(*key, params, device_kind) for key in sound_tasks(params)}
    total = sum(seconds.values())
    return {key: own / total for key, own in seconds.items()}


def published_s(params: ActivationParameters, device_kind: DeviceKind) -> float:
    """Estimated seconds of both published protocols with their variants."""
    tuning = (params.rates + 1) * params.tuning_seeds
    total = 0.0
    for task, steps in ((PERMUTATION, toy.STEPS), (XOR, xor.STEPS)):
        for models in (params.seeds, params.seeds, params.seeds, tuning):
            total += training_s(task, 1, steps, models, params, device_kind)
    total += training_s(PERMUTATION, 1, params.longer_steps, 2, params, device_kind)
    return total * len(params.learning_functions)


def parts_s(params: ActivationParameters, device_kind: DeviceKind) -> dict[str, float]:
    """Estimated seconds of each part of the study that is chosen: "published", "sound", "joules"."""
    found = {}
    if "published" in params.trainings:
        found["published"] = published_s(params, device_kind)
    tasks = sound_tasks(params)
    if tasks:
        found["sound"] = sum(sound_s(task, depth, params, device_kind) for task, depth in tasks)
    if tasks and params.energy != "none":
        on_gpu = device_kind == "cuda"
        found["joules"] = energy.duration_s(len(params.learning_functions), energy.EFFORTS[params.energy]) if on_gpu else 0.0
    return found


def duration_s(params: ActivationParameters, device_kind: DeviceKind) -> float:
    """Estimated seconds of the whole study."""
    return sum(parts_s(params, device_kind).values())


def largest_step_flop(params: ActivationParameters) -> int:
    """Operations of one step of the largest training that is chosen."""
    works = [shape(task, depth, params) for task, depth in sound_tasks(params) or [(PERMUTATION, 1)]]
    return max(6 * work.weights * work.examples for work in works) * models_together(params)


def memory_bytes(params: ActivationParameters) -> int:
    """Estimated peak bytes of the largest training: weights with gradients and optimiser state, and what the backward pass keeps."""
    largest = 0
    for task, depth in sound_tasks(params) or [(PERMUTATION, 1)]:
        work = shape(task, depth, params)
        largest = max(largest, models_together(params) * (6 * work.weights + HELD_PER_UNIT * work.units * work.examples))
    return BYTES_PER_FLOAT * largest
