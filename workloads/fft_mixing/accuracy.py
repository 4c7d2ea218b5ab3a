"""Accuracy in the sound protocol: the same classifier around each mixer, several seeds side by side, tested once. Worker side.

All seeds, and for recall and copy all distances, train together as one batched model. Each mixer gets its own learning rate, chosen on
validation data with other seeds than those that are reported; the same seeds, batches and test items for every mixer, so that accuracies
are paired by seed and item.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial

import numpy as np
from torch import nn

from lab.measuring import within
from lab.records import Event, Phase, Progress, Record, Role
from lab.training.batches import Samples
from lab.training.evaluation import Evaluation
from lab.training.fit import Point
from lab.training.intervals import paired_difference
from lab.training.models import SequenceClassifier
from lab.training.optimisers import Adam
from lab.training.recipe import Recipe
from lab.training.schedules import cosine
from lab.training.study import ArmResult, ArmTraining, ArmTuning, compare_arms
from lab.training.tuning import Grid, Tuned, TuningPoint
from lab.workload import Context
from workloads.fft_mixing.mixers import ConvolutionMixer, FftMixer, FNetMixer
from workloads.fft_mixing.names import (
    ACCURACY_GAIN,
    ATTENTION,
    BATCHED,
    CHANCE,
    CONVOLUTION,
    FFT_MIX,
    FNET,
    GAIN_HIGH,
    GAIN_LOW,
    LABELS,
    LEARNING_RATE,
    SOUND_TRAINING,
    TEST_ACCURACY,
    TRAIN_LOSS,
    UNTUNED_FLAW,
    VALIDATION_ACCURACY,
    dimensions_of,
)
from workloads.fft_mixing.parameters import FftMixingParameters
from workloads.fft_mixing.small_work import small_work
from workloads.fft_mixing.tasks import Examples, examples

D_MODEL, N_HEADS, N_LAYERS, FFN_RATIO = 32, 4, 2, 2
EVALUATED_AT_ONCE = 256  # examples of each model
CURVE_POINTS = 6  # of each training
WARMUP_SHARE = 0.05  # of the steps
UNTUNED_RATE = 1e-2
GRID = Grid(2.5e-3, 2e-2, 4, extend_by=1, max_extensions=1)
TUNING_SEEDS = 2
NOT_TUNED = Tuned(UNTUNED_RATE, (UNTUNED_RATE,), np.zeros((1, 1)), (), "")
TUNING_SEEDS_FROM = 1_000_000  # seeds of tuning, far from those that are reported
DISTANCE_PLACES = 16  # a model's number is its seed × this + the place of its distance


def run(params: FftMixingParameters, context: Context) -> Generator[Event, None, None]:
    """Train and test every mixer on every task; nothing where no step is asked for."""
    if not params.steps:
        return
    for place, task in enumerate(params.tasks):
        yield Phase("data", LABELS[task], budgeted=False)
        data = yield from examples(task, params, context)
        low, high = place / len(params.tasks), (place + 1) / len(params.tasks)
        tokens = params.seeds * len(data.distances) * params.batch_size_trained * data.seq_len
        with small_work(tokens, context):
            yield from within(study(data.to(context.device), params, context), low, high)


def mixers(params: FftMixingParameters) -> Mapping[str, Callable[[int], nn.Module] | None]:
    """The mixer of each arm as a factory of M models' layers; None is the classifier's own self-attention."""
    windows = params.window_lengths
    found: dict[str, Callable[[int], nn.Module] | None] = {
        FFT_MIX: lambda models: FftMixer(models, D_MODEL, windows),
        ATTENTION: None,
    }
    if params.peers:
        found[FNET] = FNetMixer
        found[CONVOLUTION] = lambda models: ConvolutionMixer(models, D_MODEL, windows[-1])
    return found


def study(data: Examples, params: FftMixingParameters, context: Context) -> Generator[Event, None, None]:
    """One task: every mixer tuned, trained from the reported seeds, tested."""
    places = range(len(data.distances))
    reported = [DISTANCE_PLACES * (params.seed + i) + place for i in range(params.seeds) for place in places]
    tuning = [DISTANCE_PLACES * (TUNING_SEEDS_FROM + i) + place for i in range(TUNING_SEEDS) for place in places]
    arms = {name: recipe(mixer, data, params, context.device) for name, mixer in mixers(params).items()}
    every = max(1, params.steps // (CURVE_POINTS - 1))
    records = _Records(data, params, context.device)
    yield Phase("train", f"{LABELS[data.task]}: {len(reported)} models of each kind, {params.steps:,} steps")
    yield records.of(CHANCE, 100 * data.chance, "%", 0, ATTENTION)

    def validation(numbers: Sequence[int]) -> Evaluation:
        return Evaluation(data.validation.inputs, data.validation.targets, owners=_places(numbers), batch_size=EVALUATED_AT_ONCE)

    def test(numbers: Sequence[int]) -> Evaluation:
        return Evaluation(data.test.inputs, data.test.targets, owners=_places(numbers), batch_size=EVALUATED_AT_ONCE)

    results: dict[str, ArmResult] = {}
    done = _Done(len(arms), params.tuned)
    if params.tuned:
        events = compare_arms(arms, GRID, validation=validation, test=test, tuning_seeds=tuning, seeds=reported, every=every)
    else:
        events = untuned(arms, validation, test, reported, every)
    for event in events:
        match event:
            case ArmTuning(arm, TuningPoint(point=point)):
                yield Progress(done.fraction(point.step / params.steps), f"{LABELS[data.task]}: learning rate of {LABELS[arm]}")
            case ArmTuning():
                done.next_part()
            case ArmTraining(arm, point):
                yield from records.curve(arm, point, reported)
                yield Progress(done.fraction(point.step / params.steps), f"{LABELS[data.task]}: {LABELS[arm]}, step {point.step:,}")
                if point.step >= params.steps:
                    done.next_part()
            case ArmResult():
                results[event.arm] = event
    for result in results.values():
        yield from records.test(result)
    for name, result in results.items():
        if name != ATTENTION:
            yield from records.gain(result, results[ATTENTION])


def untuned(
    arms: Mapping[str, Recipe],
    validation: Callable[[Sequence[int]], Evaluation],
    test: Callable[[Sequence[int]], Evaluation],
    seeds: Sequence[int],
    every: int,
) -> Generator[ArmTraining | ArmResult, None, None]:
    """Every arm trained at one learning rate, :data:`UNTUNED_RATE`, and tested: for a quick look."""
    trained: list[tuple[str, nn.Module, Point]] = []
    for name, arm in arms.items():
        model, points = arm.train(seeds, [UNTUNED_RATE] * len(seeds), validation, every)
        for point in points:
            yield ArmTraining(name, point)
        trained.append((name, model, point))
    evaluation = test(seeds)
    for name, model, point in trained:
        items = {metric: values.double().cpu().numpy() for metric, values in evaluation.items(model).items()}
        for values in items.values():
            values[point.diverged] = np.nan
        yield ArmResult(name, NOT_TUNED, tuple(seeds), point, items)


def recipe(mixer: Callable[[int], nn.Module] | None, data: Examples, params: FftMixingParameters, device: str) -> Recipe:
    """What is trained and how: two pre-norm blocks around ``mixer``, Adam, warm-up and half a cosine."""

    def build(models: int) -> nn.Module:
        return SequenceClassifier(
            models,
            data.features,
            data.seq_len,
            D_MODEL,
            N_LAYERS,
            N_HEADS,
            FFN_RATIO * D_MODEL,
            data.n_classes,
            readout=data.readout,
            tokens=data.token_ids,
            mixer=mixer,
        )

    def batches(numbers: Sequence[int]) -> Samples:
        return Samples(data.train.inputs, data.train.targets, params.batch_size_trained, numbers, owners=_places(numbers), drop_last=True)

    schedule = cosine(params.steps, warmup=round(WARMUP_SHARE * params.steps))
    return Recipe(build, batches, params.steps, optimiser=partial(Adam, schedule=schedule), device=device)


def _places(numbers: Sequence[int]) -> list[int]:
    """Which distance each model is trained at, as its place among the distances."""
    return [number % DISTANCE_PLACES for number in numbers]


class _Done:
    """How much of a study is done: tuning and training of each arm count alike."""

    def __init__(self, arms: int, tuned: bool) -> None:
        self._parts, self._arms, self._done = (2 if tuned else 1), arms, 0

    def fraction(self, share: float) -> float:
        """With ``share`` of the running tuning or training done; an extension of the grid starts its share again."""
        return min(1.0, (self._done + share) / (self._parts * self._arms))

    def next_part(self) -> None:
        """A tuning or a training has ended."""
        self._done += 1


class _Records:
    """The records of one task: dimensions filled in, models told apart by distance and seed."""

    def __init__(self, data: Examples, params: FftMixingParameters, device: str) -> None:
        self._data, self._params, self._device = data, params, device
        self._not_tuned = "" if params.tuned else f"{UNTUNED_FLAW}: every mixer trained at {UNTUNED_RATE:g}"

    def of(
        self,
        metric: str,
        value: float | None,
        unit: str,
        place: int,
        arm: str,
        *,
        seed: int | None = None,
        step: int | str = "",
        reason: str = "",
    ) -> Record:
        """One record; a value that is not finite is missing, because its model diverged."""
        distance = self._data.distances[place]
        if value is not None and not np.isfinite(value):
            value, reason = None, reason or "the model diverged"
        role: Role = "technique" if arm == FFT_MIX else "baseline"
        dimensions = dimensions_of(
            SOUND_TRAINING,
            direction="training",
            seq_len=self._data.seq_len,
            batch_size=self._params.batch_size_trained,
            d_model=D_MODEL,
            task=self._data.task,
            data=self._data.label,
            seeds=self._params.seeds,
            distance=distance or "",
            step=step,
        )
        return Record(
            "sound", arm, role, BATCHED, self._device, "float32", metric, value, unit, None, seed, reason, dimensions, whole_run=True
        )

    def curve(self, arm: str, point: Point, numbers: Sequence[int]) -> Generator[Record, None, None]:
        """A point of every model's curve; of several distances the shortest and the longest."""
        last = len(self._data.distances) - 1
        for model, number in enumerate(numbers):
            seed, place = divmod(number, DISTANCE_PLACES)
            if place not in (0, last):
                continue
            accuracy = 100 * float(point.metrics["accuracy"][model])
            yield self.of(VALIDATION_ACCURACY, accuracy, "%", place, arm, seed=seed, step=point.step)
            if point.step and not last:
                yield self.of(TRAIN_LOSS, float(point.train_loss[model]), "nats", place, arm, seed=seed, step=point.step)

    def test(self, result: ArmResult) -> Generator[Record, None, None]:
        """Test accuracy of every model, and the learning rate that was chosen with what is wrong with the choice."""
        flaw = result.tuned.flaw
        if result.tuned.rate is not None:
            yield self.of(LEARNING_RATE, result.tuned.rate, "1", 0, result.arm, reason=flaw or self._not_tuned)
        for model, number in enumerate(result.seeds):
            seed, place = divmod(number, DISTANCE_PLACES)
            value = 100 * float(result.items["accuracy"][model].mean()) if result.items else None
            yield self.of(TEST_ACCURACY, value, "%", place, result.arm, seed=seed, reason=flaw)

    def gain(self, result: ArmResult, attention: ArmResult) -> Generator[Record, None, None]:
        """Points of accuracy above attention's at each distance, with the interval for other seeds and test items."""
        flaws = "; ".join(dict.fromkeys(filter(None, (self._not_tuned, result.tuned.flaw, attention.tuned.flaw))))
        for place in range(len(self._data.distances)):
            rows = [model for model, number in enumerate(result.seeds) if number % DISTANCE_PLACES == place]
            if not result.items or not attention.items:
                yield self.of(ACCURACY_GAIN, None, "points", place, result.arm, reason=flaws)
                continue
            found = paired_difference(100 * result.items["accuracy"][rows], 100 * attention.items["accuracy"][rows])
            for metric, value in ((ACCURACY_GAIN, found.mean), (GAIN_LOW, found.low), (GAIN_HIGH, found.high)):
                yield self.of(metric, value, "points", place, result.arm, reason="; ".join(filter(None, (found.reason, flaws))))
