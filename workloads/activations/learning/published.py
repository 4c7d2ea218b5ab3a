"""The published training protocols, as published and with one flaw mended at a time. Worker side: imports torch.

The toy (an MLP 32 → 128 → 32) and XOR (2 → 16 → 1), each with He-scaled weights and zero biases, plain gradient descent at one rate, 500
steps, the training loss reported. The sources run each function once; here every run is repeated with other seeds, since one run has no
interval. One flaw at a time:

- ``as_published``: data and then the weights of one function after the other are drawn from one stream, so each starts from other weights.
- ``same_start``: the same run, but every function starts from the weights that the first one draws.
- ``longer`` (the toy): the same start trained on, because 500 steps at this rate rank early speed.
- ``own_rate``: the same start, each function at its own rate, chosen on seeds that are not reported.

Departures: float32 instead of NumPy's float64, and XOR's loss is the binary cross-entropy of one logit (the sources do not name it).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from lab.records import Event, Phase, Progress, Record
from lab.training.batches import Batches, Samples
from lab.training.evaluation import Evaluation
from lab.training.fit import Point, fit
from lab.training.initialisation import initialise
from lab.training.layers import Linear
from lab.training.losses import binary_cross_entropy, item_cross_entropy, of_output
from lab.training.models import Mlp
from lab.training.optimisers import Sgd
from lab.training.recipe import Recipe
from lab.training.tuning import Grid, Tuned, tune
from lab.workload import Context
from workloads.activations.implementations import role_of
from workloads.activations.learning import toy, xor
from workloads.activations.learning.names import (
    AS_PUBLISHED,
    BY_HAND,
    CHOSEN_RATE,
    LONGER,
    OWN_RATE,
    PERMUTATION,
    PUBLISHED_LOSS,
    SAME_START,
    TASK_TITLES,
    TRAINING_LOSS,
    TUNING_LOSS,
    WRONG_SHARE,
    XOR,
    dimensions,
)
from workloads.activations.parameters import ActivationParameters
from workloads.activations.reference import EAGER

DTYPE = "float32"
LOSS_UNIT = "nats"
RATES = (0.01, 1.0)  # of plain gradient descent: the published one and up from there
LONGER_RUNS = 2  # of the reported seeds: a curve, no verdict
LONGER_POINTS = 20
HELD_OUT_POINTS = 1000  # fresh examples on which the own rates are chosen
FRESH = 1 << 32  # of the fresh data's seed

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Protocol:
    """One published task: how its data is drawn, its network, and what is reported of the training losses [steps, runs]."""

    task: str
    widths: tuple[int, ...]
    batch_size: int
    rate: float
    steps: int
    last_steps: int
    draw: Callable[[np.random.Generator], Arrays]
    fresh: Callable[[np.random.Generator], Arrays]
    logit: bool  # one logit and the binary cross-entropy, else one logit for each class

    def loss(self) -> Callable[[nn.Module, Tensor, Tensor], Tensor] | None:
        """The loss of ``fit``; None for its default, the cross-entropy."""
        return of_output(_of_one_logit) if self.logit else None

    def build(self, function: str, n_models: int) -> Mlp:
        """The network with that activation, its weights not drawn yet."""
        return Mlp(n_models, self.widths, EAGER[function], scheme="he_normal")


def _of_one_logit(outputs: Tensor, targets: Tensor) -> Tensor:
    return binary_cross_entropy(outputs.squeeze(-1), targets.to(outputs.dtype))


def _one_logit_items(outputs: Tensor, targets: Tensor) -> Tensor:
    return torch.nn.functional.binary_cross_entropy_with_logits(outputs.squeeze(-1), targets.to(outputs.dtype), reduction="none")


PROTOCOLS = (
    Protocol(
        PERMUTATION,
        (toy.CLASSES, toy.HIDDEN, toy.CLASSES),
        toy.BATCH_SIZE,
        toy.RATE,
        toy.STEPS,
        toy.LAST_STEPS,
        toy.batches,
        partial(toy.batches, count=HELD_OUT_POINTS, batch_size=1),
        logit=False,
    ),
    Protocol(
        XOR,
        (2, xor.HIDDEN, 1),
        xor.POINTS,
        xor.RATE,
        xor.STEPS,
        1,
        xor.points,
        partial(xor.points, n=HELD_OUT_POINTS),
        logit=True,
    ),
)


def published(params: ActivationParameters, context: Context) -> Generator[Event, None, None]:
    """Both published protocols, and the network set by hand that shows what XOR asks for."""
    yield from by_hand(params)
    for index, protocol in enumerate(PROTOCOLS):
        parts: list[Iterator[Event]] = [
            _as_published(protocol, params, context),
            _same_start(protocol, params, context),
            _own_rates(protocol, params, context),
        ]
        if protocol.task == PERMUTATION:
            parts.insert(2, _longer(protocol, params, context))
        for place, part in enumerate(parts):
            yield from part
            share = (index + (place + 1) / len(parts)) / len(PROTOCOLS)
            yield Progress(share, f"as published: {TASK_TITLES[protocol.task]}")


def by_hand(params: ActivationParameters) -> Iterator[Record]:
    """The share of XOR's points that two quadratic hidden units with weights set by hand get wrong, over the data of every run."""
    drawn = [xor.points(np.random.default_rng(seed), HELD_OUT_POINTS) for seed in params.reported_seeds]
    for name in ("phi6", "zeta_ln2"):
        wrong = np.mean([np.mean(xor.by_hand(name, x) != labels) for x, labels in drawn])
        where = dimensions(XOR, 1)
        yield Record("published", name, "technique", BY_HAND, "", "", WRONG_SHARE, float(wrong), "1", dimensions=where, whole_run=True)


@dataclass(frozen=True)
class _Run:
    """What one published run with one seed draws from its stream: the data, and then each function's weights [layer] in turn."""

    inputs: np.ndarray
    targets: np.ndarray
    weights: Mapping[str, Sequence[np.ndarray]]


def _stream(protocol: Protocol, functions: Sequence[str], seed: int) -> _Run:
    rng = np.random.default_rng(seed)
    inputs, targets = protocol.draw(rng)
    shapes = list(zip(protocol.widths, protocol.widths[1:], strict=False))
    weights = {name: [rng.standard_normal(shape) * np.sqrt(2 / shape[0]) for shape in shapes] for name in functions}
    return _Run(inputs, targets, weights)


def _as_published(protocol: Protocol, params: ActivationParameters, context: Context) -> Iterator[Event]:
    yield from _repeated(protocol, AS_PUBLISHED, params.reported_seeds, protocol.steps, params, context)


def _same_start(protocol: Protocol, params: ActivationParameters, context: Context) -> Iterator[Event]:
    yield from _repeated(protocol, SAME_START, params.reported_seeds, protocol.steps, params, context)


def _longer(protocol: Protocol, params: ActivationParameters, context: Context) -> Iterator[Event]:
    yield from _repeated(protocol, LONGER, params.reported_seeds[:LONGER_RUNS], params.longer_steps, params, context)


def _repeated(
    protocol: Protocol, recipe: str, seeds: Sequence[int], steps: int, params: ActivationParameters, context: Context
) -> Iterator[Event]:
    """Every function at the published rate, one run per seed."""
    functions = params.learning_functions
    runs = [_stream(protocol, functions, seed) for seed in seeds]
    inputs, targets = (
        torch.from_numpy(np.stack(part)).to(context.device) for part in zip(*((r.inputs, r.targets) for r in runs), strict=True)
    )
    for function in functions:
        yield Phase("as published", f"{TASK_TITLES[protocol.task]}, {function}, {recipe.replace('_', ' ')}")
        model = initialise(protocol.build(function, len(seeds)), seeds)
        start = function if recipe == AS_PUBLISHED else functions[0]
        with torch.no_grad():
            for place, layer in enumerate(model.layers):
                assert isinstance(layer, Linear)
                layer.weight.copy_(torch.from_numpy(np.stack([run.weights[start][place] for run in runs])))
        model.to(context.device)
        batches = Samples(inputs, targets, protocol.batch_size, seeds, shuffle=False, owners=range(len(seeds)))
        every = max(1, steps // (LONGER_POINTS if recipe == LONGER else 1))
        points = fit(model, Sgd(model, protocol.rate), batches, steps, loss=protocol.loss(), every=every)
        yield from _losses(protocol, function, recipe, [protocol.rate] * len(seeds), seeds, points, context)


def _losses(
    protocol: Protocol, function: str, recipe: str, rates: Sequence[float], seeds: Sequence[int], points: Iterator[Point], context: Context
) -> Iterator[Record]:
    """The reported loss of each run; of the longer training its curve."""
    for point in points:
        if point.step == 0:
            continue
        for place, seed in enumerate(seeds):
            own = point.step_losses[:, place]
            loss = float(own.mean() if recipe == LONGER else own[-protocol.last_steps :].mean())
            lost = bool(point.diverged[place]) or not np.isfinite(loss)
            reason = f"diverged at step {point.diverged_at[place]}" if lost else ""
            metric = TRAINING_LOSS if recipe == LONGER else PUBLISHED_LOSS
            where = dimensions(protocol.task, 1, rates[place] if recipe != OWN_RATE else "", point.step)
            yield Record(
                "published", function, role_of(function), recipe, context.device, DTYPE, metric, None if lost else loss, LOSS_UNIT,
                seed=seed, reason=reason, dimensions=where, whole_run=True,
            )  # fmt: skip


def _own_rates(protocol: Protocol, params: ActivationParameters, context: Context) -> Iterator[Event]:
    """Each function at its own rate, chosen on fresh data with other seeds than those reported."""
    fresh = protocol.fresh(np.random.default_rng([FRESH, params.seed]))
    inputs, targets = (torch.from_numpy(part).to(context.device) for part in fresh)
    evaluation = Evaluation(inputs, targets, {"loss": _one_logit_items if protocol.logit else item_cross_entropy})

    def batches(seeds: Sequence[int]) -> Batches:
        distinct = list(dict.fromkeys(seeds))
        sets = [protocol.draw(np.random.default_rng(seed)) for seed in distinct]
        drawn, labels = (torch.from_numpy(np.stack(part)).to(context.device) for part in zip(*sets, strict=True))
        return Samples(drawn, labels, protocol.batch_size, seeds, shuffle=False, owners=[distinct.index(seed) for seed in seeds])

    for function in params.learning_functions:
        yield Phase("as published", f"{TASK_TITLES[protocol.task]}, {function}, own rate")
        recipe = Recipe(partial(protocol.build, function), batches, protocol.steps, Sgd, loss=protocol.loss(), device=context.device)
        tuned: Tuned | None = None
        seeds = params.reported_seeds
        for outcome in tune(
            recipe, lambda seeds: evaluation, Grid(*RATES, params.rates), tuning_seeds=params.tuning_seeds_used, reported_seeds=seeds
        ):
            if isinstance(outcome, Tuned):
                tuned = outcome
        assert tuned is not None
        yield from _tuned(protocol, function, tuned, context)
        if tuned.rate is None:
            continue
        rates = [tuned.rate] * len(seeds)
        _, points = recipe.train(seeds, rates)
        yield from _losses(protocol, function, OWN_RATE, rates, seeds, points, context)


def _tuned(protocol: Protocol, function: str, tuned: Tuned, context: Context) -> Iterator[Record]:
    """The loss on fresh data at every rate that was tried, and the rate chosen."""

    def record(metric: str, value: float | None, unit: str, reason: str, **where: float) -> Record:
        own = dimensions(protocol.task, 1, **where)
        role = role_of(function)
        return Record(
            "published", function, role, OWN_RATE, context.device, DTYPE, metric, value, unit, reason=reason, dimensions=own, whole_run=True
        )

    for rate, losses in zip(tuned.rates, tuned.losses, strict=True):
        finite = bool(np.isfinite(losses).all())
        value = float(losses.mean()) if finite else None
        yield record(TUNING_LOSS, value, LOSS_UNIT, "" if finite else "a tuning seed diverged", learning_rate=rate)
    yield record(CHOSEN_RATE, tuned.rate, "1", tuned.flaw)
