"""The early-stopping experiment: trainings under both protocols, what a step costs, and the test. Worker side."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import torch

from lab import measuring
from lab.energy import ENERGY
from lab.energy_meter import NOT_ASKED_FOR
from lab.measuring import sampling_of, within
from lab.records import Event, Phase, Progress, Record
from lab.statistics import mean_interval
from lab.timing import Arm
from lab.training.energy import evaluation_arm, step_arm
from lab.training.optimisers import Adam
from lab.workload import Context
from workloads.entropy_stopping import costs
from workloads.entropy_stopping.cost_of_training import DEVICE_TIME, LATENCY, UnitCosts, unit_costs
from workloads.entropy_stopping.examples import Examples, examples
from workloads.entropy_stopping.names import ALONE, CONSTANT, COST, EVALUATION, STEP, STEPS_PER_EPOCH, dimensions_of
from workloads.entropy_stopping.parameters import EntropyStoppingParameters
from workloads.entropy_stopping.recording import Recorder
from workloads.entropy_stopping.studies import Sound, published
from workloads.entropy_stopping.training import Trainer, evaluation


def run(params: EntropyStoppingParameters, context: Context) -> Iterator[Event]:
    """Everything one cell of the sweep yields."""
    torch.set_num_threads(context.threads)
    if context.device_kind == "cuda":
        yield Phase("initialise the GPU", budgeted=False)
        torch.cuda.synchronize(context.device)
    data = (yield from examples(params, context)).to(context.device)
    parts = costs.part_durations_s(params, context.device_kind)
    total_s, done_s = sum(parts.values()), 0.0

    def placed(name: str, events: Generator[Event, None, object]) -> Generator[Event, None, object]:
        nonlocal done_s
        start_s, done_s = done_s, done_s + parts[name]
        return within(events, start_s / total_s, done_s / total_s)

    if "published" in params.protocols:
        yield from placed("published", published(params, data, context))
    if "sound" in params.protocols:
        sound = Sound(params, data, context)
        yield from placed("sound", sound.train())
        measurements = Measurements(params, data, context, sound.trainer)
        yield from placed("cost", measurements.events())
        yield from placed("test", sound.test(measurements.unit_costs(), measurements.no_energy))
    yield Progress(1.0, params.model)


class Measurements:
    """What one training step and one evaluation of a single model cost, in time and, where asked for, in joules."""

    def __init__(self, params: EntropyStoppingParameters, data: Examples, context: Context, trainer: Trainer) -> None:
        self._params, self._data, self._context, self._trainer = params, data, context, trainer
        self._values: dict[tuple[str, str], list[float]] = {}
        self.no_energy = NOT_ASKED_FOR

    def events(self) -> Generator[Event, None, None]:
        """Measure, and tell every record."""
        params, context, data = self._params, self._context, self._data
        dimensions = dimensions_of(COST, model=params.model, data=data.label)
        recorder = Recorder("sound", context.device, params.model, data.label, ())
        yield recorder.record(COST, CONSTANT, STEPS_PER_EPOCH, self._trainer.steps_per_epoch, "1")
        arms = self._arms()
        with_energy = params.energy != "none"
        if context.energy_obstacle:
            self.no_energy = context.energy_obstacle
        timing = measuring.timed(arms, arms[0].key, context.device, sampling_of(params), dimensions, "one model alone")
        yield from within(self._noted(timing), 0.0, 0.2 if with_energy else 1.0)
        if with_energy:
            yield from within(self._noted(measuring.energy(arms, params.energy, context, dimensions)), 0.2, 1.0)

    def _arms(self) -> list[Arm]:
        trainer = self._trainer
        model, evaluated = trainer.alone(), trainer.alone()
        step = step_arm(STEP, ALONE, "baseline", model, Adam(model, self._params.learning_rate), trainer.batches([self._params.seed]))
        return [step, evaluation_arm(EVALUATION, ALONE, "baseline", evaluated, evaluation(self._data.validation))]

    def _noted(self, events: Iterator[Event]) -> Generator[Event, None, None]:
        for event in events:
            if isinstance(event, Record) and event.metric in (LATENCY, DEVICE_TIME, ENERGY):
                if event.value is not None:
                    self._values.setdefault((event.metric, event.arm), []).append(event.value)
                elif event.metric == ENERGY and event.reason:
                    self.no_energy = event.reason
            yield event

    def unit_costs(self) -> list[UnitCosts]:
        """The mean costs, the best kind first."""
        means = {key: mean_interval(values).mean or 0.0 for key, values in self._values.items()}
        return unit_costs({key: (mean, 0.0) for key, mean in means.items()}, self._trainer.steps_per_epoch)
