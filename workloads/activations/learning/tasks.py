"""The tasks of the sound comparison as recipes: model, data, optimiser; how they are validated and tested. Worker side: imports torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from lab import data
from lab.records import DataUsed
from lab.training.batches import Batches, Samples, Windows, consecutive_windows
from lab.training.evaluation import Evaluation
from lab.training.losses import item_cross_entropy
from lab.training.models import CharacterModel, Mlp
from lab.training.optimisers import Adam
from lab.training.recipe import Recipe
from lab.training.schedules import cosine
from lab.workload import Context
from workloads.activations.learning import toy, xor
from workloads.activations.learning.names import DIGITS, PERMUTATION, SHOWN_PERMUTATION, TEXT, XOR, XOR3
from workloads.activations.parameters import ActivationParameters
from workloads.activations.reference import EAGER

WARM_UP_SHARE = 0.1  # of the steps: linear warm-up, then half a cosine down to 0
HELD_OUT_POINTS = 2000  # of generated data, for validation and for test each
EVALUATED_TOKENS = {"cpu": 1 << 14, "cuda": 1 << 18}  # of all models together, at once
VALIDATION_SEED, TEST_SEED = 1 << 32, 1 << 33  # of generated data: no model's seed is that large
LOSS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"loss": item_cross_entropy}


@dataclass(frozen=True)
class Task:
    """One task at one depth.

    ``recipe(function)``: how a model with that activation is trained; ``validation(seeds)`` and ``test(seeds)`` evaluate models with those
    seeds. ``guess_nats``: the loss of guessing all outputs alike. ``label`` names the data in a measurement.
    """

    name: str
    depth: int
    label: str
    guess_nats: float
    recipe: Callable[[str], Recipe]
    validation: Callable[[Sequence[int]], Evaluation]
    test: Callable[[Sequence[int]], Evaluation]
    used: DataUsed | None = None


def task(name: str, depth: int, params: ActivationParameters, context: Context) -> Task:
    """The task ``name`` at ``depth`` (hidden layers of an MLP, blocks of the character model) on the device of ``context``."""
    if name == TEXT:
        return _text(depth, params, context)
    if name == DIGITS:
        return _digits(depth, params, context)
    if name in (PERMUTATION, SHOWN_PERMUTATION):
        shown = name == SHOWN_PERMUTATION
        draw = partial(toy.batches, shown=shown)
        held_out = partial(toy.batches, count=HELD_OUT_POINTS, batch_size=1, shown=shown)
        return _generated(name, draw, held_out, toy.HIDDEN, toy.CLASSES, toy.BATCH_SIZE, params, context)
    factors = {XOR: 2, XOR3: 3}[name]
    draw_points = partial(xor.points, factors=factors)
    held_out_points = partial(xor.points, n=HELD_OUT_POINTS, factors=factors)
    return _generated(name, draw_points, held_out_points, xor.HIDDEN, 2, xor.POINTS, params, context)


def _recipe(build: Callable[[int], nn.Module], batches: Callable[[Sequence[int]], Batches], steps: int, device: str) -> Recipe:
    """Adam with warm-up and cosine; the same for every function but for the learning rate."""
    optimiser = partial(Adam, schedule=cosine(steps, warmup=max(1, round(WARM_UP_SHARE * steps))))
    return Recipe(build, batches, steps, optimiser, device=device)


def _mlp(widths: Sequence[int], function: str) -> Callable[[int], nn.Module]:
    return lambda n_models: Mlp(n_models, widths, EAGER[function], scheme="he_normal")


def _digits(depth: int, params: ActivationParameters, context: Context) -> Task:
    found = data.load("digits", cache_dir=context.cache_dir)
    parts = []
    for split in (found.train, found.validation, found.test):
        inputs = torch.from_numpy(split.inputs).flatten(1).to(context.device)
        parts.append((inputs, torch.from_numpy(np.asarray(split.targets, dtype=np.int64)).to(context.device)))
    (inputs, targets), validation, test = parts
    widths = [inputs.shape[1], *[params.width] * depth, found.n_classes]

    def batches(seeds: Sequence[int]) -> Batches:
        return Samples(inputs, targets, params.batch_size, seeds, drop_last=True)

    return Task(
        DIGITS,
        depth,
        found.label,
        math.log(found.n_classes),
        lambda function: _recipe(_mlp(widths, function), batches, params.steps, context.device),
        lambda seeds: Evaluation(*validation, LOSS),
        lambda seeds: Evaluation(*test, LOSS),
        found.used(),
    )


def _text(depth: int, params: ActivationParameters, context: Context) -> Task:
    found = data.load("text", cache_dir=context.cache_dir)
    train, *held_out = (
        torch.from_numpy(np.append(split.inputs, split.targets[-1])).to(context.device)
        for split in (found.train, found.validation, found.test)
    )
    validation, test = (consecutive_windows(tokens, params.seq_len) for tokens in held_out)
    at_once = EVALUATED_TOKENS[context.device_kind] // params.seq_len

    def build(function: str) -> Callable[[int], nn.Module]:
        return lambda n_models: CharacterModel(
            n_models, found.n_classes, params.seq_len, params.width, depth, params.n_heads, 4 * params.width, EAGER[function]
        )

    def batches(seeds: Sequence[int]) -> Batches:
        return Windows(train, params.seq_len, params.batch_size, seeds)

    def evaluated(windows: tuple[Tensor, Tensor]) -> Callable[[Sequence[int]], Evaluation]:
        return lambda seeds: Evaluation(*windows, LOSS, batch_size=max(1, at_once // len(seeds)))

    return Task(
        TEXT,
        depth,
        found.label,
        math.log(found.n_classes),
        lambda function: _recipe(build(function), batches, params.steps, context.device),
        evaluated(validation),
        evaluated(test),
        found.used(),
    )


Drawn = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


def _generated(
    name: str, draw: Drawn, held_out: Drawn, hidden: int, classes: int, batch_size: int, params: ActivationParameters, context: Context
) -> Task:
    """A task whose training data each model draws from its own seed; validation and test are fresh and the same for all."""
    validation, test = (_on_device(held_out(np.random.default_rng([seed, params.seed])), context) for seed in (VALIDATION_SEED, TEST_SEED))
    widths = [validation[0].shape[1], hidden, classes]

    def batches(seeds: Sequence[int]) -> Batches:
        distinct = list(dict.fromkeys(seeds))
        sets = [_on_device(draw(np.random.default_rng(seed)), context) for seed in distinct]
        inputs, targets = (torch.stack(parts) for parts in zip(*sets, strict=True))
        return Samples(inputs, targets, batch_size, seeds, owners=[distinct.index(seed) for seed in seeds])

    return Task(
        name,
        1,
        "XOR" if name == XOR else name,
        math.log(classes),
        lambda function: _recipe(_mlp(widths, function), batches, params.steps, context.device),
        lambda seeds: Evaluation(*validation, LOSS),
        lambda seeds: Evaluation(*test, LOSS),
    )


def _on_device(drawn: tuple[np.ndarray, np.ndarray], context: Context) -> tuple[Tensor, Tensor]:
    inputs, targets = (torch.from_numpy(part).to(context.device) for part in drawn)
    return inputs, targets
