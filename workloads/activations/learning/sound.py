"""The sound comparison: learning rate tuned per function on validation data, paired seeds, held-out loss, several depths.

For each task and depth: every function is tuned on seeds of its own; then each is trained from the same reported seeds at its own rate, and
each function that is claimed to replace GELU also at GELU's rate (the unchanged recipe); at last all of them are tested, once.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from lab.measuring import energy
from lab.records import Event, Phase, Progress, Record, Scalar
from lab.statistics import Interval
from lab.training.energy import step_arm
from lab.training.fit import Point
from lab.training.initialisation import initialise
from lab.training.intervals import in_blocks, paired_relative_difference
from lab.training.recipe import Recipe
from lab.training.tuning import Grid, Tuned, TuningPoint, tune
from lab.workload import Context
from workloads.activations.functions import TECHNIQUES
from workloads.activations.implementations import role_of
from workloads.activations.learning.costs import sound_shares, sound_tasks
from workloads.activations.learning.names import (
    AGAINST_GELU,
    AGAINST_PHI6,
    CHOSEN_RATE,
    DEPTH_TASKS,
    GELU_RATE,
    HELD_OUT_LOSS,
    OWN_RATE,
    TASK_TITLES,
    TEXT,
    TRAINING_STEP,
    TUNING_LOSS,
    VALIDATION_LOSS,
    dimensions,
)
from workloads.activations.learning.tasks import Task, task
from workloads.activations.parameters import ActivationParameters

RATES = (3e-4, 3e-2)  # of Adam: ends of the first grid
DTYPE = "float32"
LOSS_UNIT = "nats"


@dataclass(frozen=True)
class Trained:
    """One arm after its last step: ``items`` [seeds, test items] of its loss in nats; ``diverged`` seeds are charged that of guessing."""

    function: str
    recipe: str
    items: np.ndarray
    diverged: np.ndarray


def comparisons(params: ActivationParameters, context: Context) -> Generator[Event, None, None]:
    """Everything the sound comparison yields, task after task and depth after depth."""
    done = 0.0
    for (name, depth), share in sound_shares(params, context.device_kind).items():
        chosen = task(name, depth, params, context)
        if chosen.used is not None:
            yield chosen.used
        for event in comparison(chosen, params, context):
            yield Progress(done + share * event.fraction, event.message) if isinstance(event, Progress) else event
        done += share


def joules(params: ActivationParameters, context: Context) -> Generator[Event, None, None]:
    """Joules of one training step of all reported seeds together, of every function on the last task at its greatest depth."""
    name, depth = sound_tasks(params)[-1]
    chosen = task(name, depth, params, context)
    arms = []
    for function in params.learning_functions:
        recipe = chosen.recipe(function)
        model = initialise(recipe.build(params.seeds), params.reported_seeds).to(context.device)
        optimiser = recipe.optimiser(model, torch.full((params.seeds,), RATES[0], dtype=torch.float64))
        arms.append(step_arm(function, TRAINING_STEP, role_of(function), model, optimiser, recipe.batches(params.reported_seeds)))
    for event in energy(arms, params.energy, context, dimensions(name, depth)):
        yield replace(event, whole_run=True) if isinstance(event, Record) else event


def comparison(chosen: Task, params: ActivationParameters, context: Context) -> Iterator[Event]:
    """One task at one depth: tune, train, test."""
    title = f"{TASK_TITLES[chosen.name]}, depth {chosen.depth}"
    reported = params.reported_seeds
    tuned: dict[str, Tuned] = {}
    models: list[tuple[str, list[tuple[str, float]], torch.nn.Module, Point]] = []
    functions = params.learning_functions
    for index, function in enumerate(functions):
        recipe = chosen.recipe(function)
        yield Phase("tune", f"{title}, {function}")
        tuned[function] = yield from _tuned(function, recipe, chosen, params, context)
        yield Progress((index + 0.6) / len(functions), f"{title}, {function}")
        rates = _rates(function, tuned)
        if rates:
            yield Phase("train", f"{title}, {function}")
            model, points = recipe.train(
                reported * len(rates), [rate for _, rate in rates for _ in reported], chosen.validation, params.every
            )
            for point in points:
                if chosen.name in DEPTH_TASKS:  # the only curves that are drawn
                    yield from _curve(function, rates, point, chosen, reported, context)
            models.append((function, rates, model, point))
        yield Progress((index + 1) / len(functions), f"{title}, {function}")
    yield Phase("test", title)
    trained = [arm for entry in models for arm in _tested(*entry, chosen, reported)]
    yield from _results(trained, chosen, params, context)


def _rates(function: str, tuned: dict[str, Tuned]) -> list[tuple[str, float]]:
    """Recipe → learning rate of the arms of ``function``; none where every rate diverged."""
    own, gelu = tuned[function].rate, next(iter(tuned.values())).rate
    rates = [(OWN_RATE, own)] if own is not None else []
    if function in TECHNIQUES and gelu is not None:
        rates.append((GELU_RATE, gelu))
    return rates


def _record(
    function: str,
    recipe: str,
    metric: str,
    value: float | None,
    context: Context,
    where: dict[str, Scalar],
    *,
    unit: str = LOSS_UNIT,
    seed: int | None = None,
    reason: str = "",
) -> Record:
    role = role_of(function)
    return Record(
        "sound",
        function,
        role,
        recipe,
        context.device,
        DTYPE,
        metric,
        value,
        unit,
        seed=seed,
        reason=reason,
        dimensions=where,
        whole_run=True,
    )


def _tuned(function: str, recipe: Recipe, chosen: Task, params: ActivationParameters, context: Context) -> Generator[Event, None, Tuned]:
    """Tune one function: the validation loss of every rate as soon as it is known (a rate at which a seed diverged has none)."""
    found: Tuned | None = None
    grid = Grid(*RATES, params.rates, extend_by=1 if params.rates < 5 else 2)
    for outcome in tune(recipe, chosen.validation, grid, tuning_seeds=params.tuning_seeds_used, reported_seeds=params.reported_seeds):
        if isinstance(outcome, Tuned):
            found = outcome
        elif outcome.point.step == recipe.steps:
            yield from _rates_tried(function, outcome, chosen, context)
    assert found is not None
    where = dimensions(chosen.name, chosen.depth)
    yield _record(function, OWN_RATE, CHOSEN_RATE, found.rate, context, where, unit="1", reason=found.flaw)
    return found


def _rates_tried(function: str, outcome: TuningPoint, chosen: Task, context: Context) -> Iterator[Record]:
    losses = outcome.point.metrics["loss"]
    for rate in dict.fromkeys(outcome.rates):
        of_rate = [float(loss) for loss, own in zip(losses, outcome.rates, strict=True) if own == rate]
        mean = sum(of_rate) / len(of_rate)
        diverged = int(np.isnan(of_rate).sum())
        reason = f"{diverged} of {len(of_rate)} tuning seeds diverged" if diverged else ""
        where = dimensions(chosen.name, chosen.depth, rate)
        yield _record(function, OWN_RATE, TUNING_LOSS, None if diverged else mean, context, where, reason=reason)


def _curve(
    function: str, rates: Sequence[tuple[str, float]], point: Point, chosen: Task, reported: Sequence[int], context: Context
) -> Iterator[Event]:
    losses = point.metrics["loss"].reshape(len(rates), len(reported))
    diverged_at = point.diverged_at.reshape(len(rates), len(reported))
    for (recipe, rate), of_recipe, when in zip(rates, losses, diverged_at, strict=True):
        for seed, loss, step in zip(reported, of_recipe, when, strict=True):
            where = dimensions(chosen.name, chosen.depth, rate, point.step)
            finite = bool(np.isfinite(loss))
            reason = "" if finite else f"diverged at step {step}" if step >= 0 else "the loss is not finite"
            value = float(loss) if finite else None
            yield _record(function, recipe, VALIDATION_LOSS, value, context, where, seed=seed, reason=reason)


def _tested(
    function: str, rates: Sequence[tuple[str, float]], model: torch.nn.Module, point: Point, chosen: Task, reported: Sequence[int]
) -> Iterator[Trained]:
    items = chosen.test(list(reported) * len(rates)).items(model)["loss"].double().cpu().numpy()
    lost = point.diverged | ~np.isfinite(items).all(1)
    items[lost] = chosen.guess_nats
    if chosen.name == TEXT:
        items = in_blocks(items)
    for place, (recipe, _) in enumerate(rates):
        own = slice(place * len(reported), (place + 1) * len(reported))
        yield Trained(function, recipe, items[own], lost[own])


def _results(trained: Sequence[Trained], chosen: Task, params: ActivationParameters, context: Context) -> Iterator[Record]:
    """Held-out losses per seed; each arm against GELU, and ZetaLn2 against Phi6Simple."""
    where = dimensions(chosen.name, chosen.depth)
    for arm in trained:
        for seed, items, lost in zip(params.reported_seeds, arm.items, arm.diverged, strict=True):
            reason = f"diverged: charged the loss of guessing, {chosen.guess_nats:.3f} nats" if lost else ""
            yield _record(arm.function, arm.recipe, HELD_OUT_LOSS, float(items.mean()), context, where, seed=seed, reason=reason)
    arms = {(arm.function, arm.recipe): arm for arm in trained}
    gelu = params.learning_functions[0]
    for function in params.learning_functions[1:]:
        for recipe in (OWN_RATE, GELU_RATE) if function in TECHNIQUES else (OWN_RATE,):
            yield from _excess(function, recipe, arms.get((function, recipe)), arms.get((gelu, OWN_RATE)), AGAINST_GELU, chosen, context)
    if {"phi6", "zeta_ln2"} <= set(params.learning_functions):
        zeta, phi6 = (arms.get((name, OWN_RATE)) for name in ("zeta_ln2", "phi6"))
        yield from _excess("zeta_ln2", OWN_RATE, zeta, phi6, AGAINST_PHI6, chosen, context)


def _excess(
    function: str, recipe: str, arm: Trained | None, baseline: Trained | None, metrics: tuple[str, ...], chosen: Task, context: Context
) -> Iterator[Record]:
    """Held-out loss above the baseline's in percent, with the ends of its interval; without a value where the baseline has none."""
    value, reason = Interval(None, None, None, 0), ""
    if baseline is None or baseline.diverged.any():
        reason = "the baseline diverged: there is nothing to compare with"
    else:
        # A function that diverged at every rate is charged what a seed that diverged is charged: the loss of guessing.
        items = np.full_like(baseline.items, chosen.guess_nats) if arm is None else arm.items
        lost = len(items) if arm is None else int(arm.diverged.sum())
        value = paired_relative_difference(items, baseline.items)
        reason = f"{lost} of {len(items)} seeds diverged; charged the loss of guessing" if lost else value.reason
    where = dimensions(chosen.name, chosen.depth)
    for metric, number in zip(metrics, (value.mean, value.low, value.high), strict=True):
        percent = None if number is None else 100 * number
        yield _record(function, recipe, metric, percent, context, where, unit="%", reason=reason)
