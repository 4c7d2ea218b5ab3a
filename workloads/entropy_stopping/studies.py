"""The two protocols: the published one, whose rule looks at the test data, and the sound one, which uses them once. Worker side."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lab.measuring import within
from lab.records import Event, Phase, Progress, Record
from lab.training.schedules import Schedule, constant
from lab.training.tuning import Grid, Tuned, TuningPoint, tune
from lab.workload import Context
from workloads.entropy_stopping.choosing import Option, Practice, best_at_cost, cheapest_as_accurate, pick
from workloads.entropy_stopping.examples import Examples
from workloads.entropy_stopping.names import (
    CONSTANT,
    COSINE,
    COST,
    FULL_BUDGET,
    LABELS,
    LEARNING_RATE,
    PICKED_ON_TEST,
    PICKED_ON_VALIDATION,
    PLATEAU,
)
from workloads.entropy_stopping.parameters import EntropyStoppingParameters
from workloads.entropy_stopping.recording import Outcome, Recorder
from workloads.entropy_stopping.rules import Rule, Stop
from workloads.entropy_stopping.training import Trained, Trainer, evaluation, without_diverged

TUNING_SEEDS = 2
TUNING_SEEDS_FROM = 1_000_000  # seeds of tuning, far from those that are reported
TUNED_RATES, TUNED_FACTOR = 4, 4.0  # rates of the grid, and from one to the next; it begins at the learning rate of the parameters


def published(params: EntropyStoppingParameters, data: Examples, context: Context) -> Generator[Event, None, None]:
    """The published protocol: all training images, the rule on the test data, the threshold picked when its accuracies are known."""
    recorder = Recorder("published", context.device, params.model, data.label, params.reported_seeds)
    trainer = Trainer(params, data, data.train + data.validation, context.device)
    yield Phase("train, published", f"{params.seeds} models, {params.epochs} epochs; the rules look at the test data")
    trained, points = trainer.run(recorder.seeds, params.epochs, data.test, params.learning_rate)
    for point in points:
        yield from recorder.epoch(trained, point)
        yield from recorder.live_stops(params.entropy_rules(), trained)
        yield Progress(trained.epochs / params.epochs, f"published, epoch {trained.epochs} of {params.epochs}")
    correct = without_diverged(np.stack(trained.correct), trained.diverged_at)
    yield from recorder.tested(correct)
    outcomes = [_outcome(rule, trained, correct) for rule in params.entropy_rules()]
    outcomes.append(_picked(PICKED_ON_TEST, outcomes, correct, 100 * correct.mean(2)))
    for outcome in outcomes:
        yield from recorder.outcome(outcome, correct[-1])
    yield from recorder.share(outcomes[-1], np.full(params.seeds, float(params.epochs)), FULL_BUDGET)


@dataclass
class Sound:
    """The trainings of the sound protocol: run first (:meth:`train`), tested at the very end (:meth:`test`)."""

    params: EntropyStoppingParameters
    data: Examples
    context: Context
    recorder: Recorder = field(init=False)
    trainer: Trainer = field(init=False)
    trained: Trained | None = None
    schedules: dict[int, Trained] = field(default_factory=dict)

    def __post_init__(self) -> None:
        params = self.params
        self.recorder = Recorder("sound", self.context.device, params.model, self.data.label, params.reported_seeds)
        self.trainer = Trainer(params, self.data, self.data.train, self.context.device)

    def train(self) -> Generator[Event, None, None]:
        """The training whose curves the rules read, then every schedule for itself."""
        params, trainer = self.params, self.trainer
        # Of a length as many epochs are tuned as trained, if they are tuned.
        total = (params.epochs + sum(params.lengths)) * (2 if params.tuned else 1)
        tuned = params.epochs / total if params.tuned else 0.0
        rate = yield from within(self._rate(CONSTANT, params.epochs, constant), 0.0, tuned)
        yield Phase("train, sound", f"{params.seeds} models, {params.epochs} epochs; the rules look at validation data")
        self.trained, points = trainer.run(self.recorder.seeds, params.epochs, self.data.validation, rate, keep=True)
        for point in points:
            yield from self.recorder.epoch(self.trained, point)
            yield from self.recorder.live_stops([*params.entropy_rules(), *params.usual_rules()], self.trained)
            done = self.trained.epochs
            yield Progress(tuned + done / total, f"sound, epoch {done} of {params.epochs}")
        share = tuned + params.epochs / total
        for length in params.lengths:
            schedule = trainer.schedule(length)
            after_tuning = share + (length / total if params.tuned else 0.0)
            rate = yield from within(self._rate(COSINE, length, schedule), share, after_tuning)
            yield Phase("train, cosine schedules", f"{params.seeds} models, {length} epochs")
            self.schedules[length], points = trainer.run(self.recorder.seeds, length, None, rate, schedule)
            for _ in points:
                done = self.schedules[length].epochs
                yield Progress(after_tuning + done / total, f"cosine schedule of {length} epochs")
            share = after_tuning + length / total

    def _rate(self, arm: str, epochs: int, schedule: Schedule) -> Generator[Event, None, float]:
        """The learning rate of ``arm`` over ``epochs`` epochs: the parameter's, or the best on validation data."""
        params = self.params
        if not params.tuned:
            yield self.recorder.record(COST, arm, LEARNING_RATE, params.learning_rate, "1", setting=epochs)
            return params.learning_rate
        yield Phase("tune", f"{LABELS[arm]}, {epochs} epochs")
        grid = Grid(params.learning_rate, params.learning_rate * TUNED_FACTOR ** (TUNED_RATES - 1), TUNED_RATES, extend_by=1)
        judge = evaluation(self.data.validation)
        recipe = self.trainer.recipe(epochs, schedule)
        tuning = [TUNING_SEEDS_FROM + params.seed + i for i in range(TUNING_SEEDS)]
        for event in tune(recipe, lambda seeds: judge, grid, tuning_seeds=tuning, reported_seeds=self.recorder.seeds):
            if isinstance(event, TuningPoint):
                yield Progress(event.point.step / recipe.steps, f"learning rate: {LABELS[arm]}, {epochs} epochs")
        assert isinstance(event, Tuned)
        rate = params.learning_rate if event.rate is None else event.rate
        yield self.recorder.record(COST, arm, LEARNING_RATE, rate, "1", reason=event.flaw, setting=epochs)
        return rate

    def test(self) -> Generator[Event, None, None]:
        """Use the test data, once: every epoch of the training and the end of every schedule; nothing is chosen by what comes of it.

        (But for one outcome that is called after its flaw, "picked on test data".)
        """
        yield Phase("test", f"{len(self.data.test):,} items, once")
        params, recorder, trained = self.params, self.recorder, self.trained
        assert trained is not None
        cosines = [self._schedule_outcome(length, found) for length, found in self.schedules.items()]
        correct = trained.tested(self.data.test)
        yield from recorder.tested(correct)
        entropy = [_outcome(rule, trained, correct) for rule in params.entropy_rules()]
        usual = [_outcome(rule, trained, correct) for rule in params.usual_rules()]
        watched = np.stack(trained.accuracy)
        picked = [
            _picked(PICKED_ON_VALIDATION, entropy, correct, watched),
            _picked(PICKED_ON_TEST, entropy, correct, 100 * correct.mean(2)),
        ]
        for outcome in (*entropy, *usual, *cosines, *picked):
            yield from recorder.outcome(outcome, correct[-1])
        fixed = next(outcome for outcome in entropy if (outcome.arm, outcome.setting) == (PLATEAU, params.threshold))
        yield from self._comparisons(fixed, [*usual, *cosines])

    def _schedule_outcome(self, length: int, found: Trained) -> Outcome:
        stops: list[Stop | None] = [None if epoch else Stop(length, length) for epoch in found.diverged_at]
        validation = evaluation(self.data.validation).items(found.model)["accuracy"].cpu().numpy()[None]
        test = evaluation(self.data.test).items(found.model)["accuracy"].cpu().numpy()[None]
        gone = np.minimum(found.diverged_at, 1)
        return Outcome(
            COSINE,
            length,
            tuple(stops),
            without_diverged(test, gone)[0],
            100 * without_diverged(validation, gone)[0].mean(1),
            watches=False,
        )

    def _comparisons(self, rule: Outcome, usual: Sequence[Outcome]) -> Iterator[Record]:
        """The rule with the threshold fixed beforehand: against the full budget, and against the best usual practice.

        Practices are chosen by validation accuracy and by epochs, which the seed decides, and not by seconds, which the machine does.
        """
        recorder = self.recorder
        yield from recorder.share(rule, np.full(self.params.seeds, float(self.params.epochs)), FULL_BUDGET)
        finite = [outcome for outcome in usual if np.isfinite(outcome.epochs).all()]
        if not finite or not np.isfinite(rule.epochs).all():
            return
        practices = [Practice(float(outcome.epochs.mean()), float(outcome.watched_accuracy.mean())) for outcome in finite]
        rival = finite[best_at_cost(practices, float(rule.epochs.mean()))]
        yield from recorder.change(rule, rival.correct, rival.arm, rival.setting)
        rival = finite[cheapest_as_accurate(practices, float(rule.watched_accuracy.mean()))]
        yield from recorder.share(rule, rival.epochs, rival.arm, rival.setting)


def _outcome(rule: Rule, trained: Trained, correct: np.ndarray) -> Outcome:
    """A rule on the curves of every seed; ``correct`` [E, S, N]."""
    stops = [rule.stop(trained.curves(model)) for model in range(len(trained.seeds))]
    return Outcome(rule.name, rule.setting, tuple(stops), _kept(stops, correct), _accuracy(stops, trained), rule.watches)


def _kept(stops: Sequence[Stop | None], correct: np.ndarray) -> np.ndarray:
    return np.stack(
        [np.full(correct.shape[2], np.nan) if stop is None else correct[stop.kept - 1, model] for model, stop in enumerate(stops)]
    )


def _accuracy(stops: Sequence[Stop | None], trained: Trained) -> np.ndarray:
    return np.array([np.nan if stop is None else trained.accuracy[stop.kept - 1][model] for model, stop in enumerate(stops)])


def _picked(name: str, outcomes: Sequence[Outcome], correct: np.ndarray, accuracy: np.ndarray) -> Outcome:
    """For each seed the threshold of the plateau rule that ``accuracy`` [E, S] in % speaks for; ``correct`` [E, S, N]."""
    thresholds = [outcome for outcome in outcomes if outcome.arm == PLATEAU]
    epochs = len(accuracy)
    stops: list[Stop | None] = []
    for model in range(accuracy.shape[1]):
        found = [outcome.stops[model] for outcome in thresholds]
        usable = [stop for stop in found if stop is not None]
        if not usable or not np.isfinite(accuracy[-1, model]):
            stops.append(None)
            continue
        options = [Option(100 * (1 - stop.epoch / epochs), float(accuracy[stop.kept - 1, model] - accuracy[-1, model])) for stop in usable]
        stops.append(usable[pick(options)])
    watched = np.array([np.nan if stop is None else accuracy[stop.kept - 1, model] for model, stop in enumerate(stops)])
    return Outcome(PLATEAU, name, tuple(stops), _kept(stops, correct), watched, watches=True)
