"""The early-stopping experiment: trainings under both protocols, what a step costs, and the test. Worker side."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import torch

from lab import measuring
from lab.measuring import sampling_of, within
from lab.records import Event, Phase, Progress
from lab.training.energy import evaluation_arm, step_arm
from lab.training.optimisers import Adam
from lab.training.threads import one_thread
from lab.workload import Context
from workloads.entropy_stopping import costs
from workloads.entropy_stopping.examples import Examples, examples
from workloads.entropy_stopping.names import ALONE, CONSTANT, COST, EVALUATION, STEP, STEPS_PER_EPOCH, dimensions_of
from workloads.entropy_stopping.parameters import EntropyStoppingParameters
from workloads.entropy_stopping.recording import Recorder
from workloads.entropy_stopping.studies import Sound, published
from workloads.entropy_stopping.training import Trainer, evaluation

FLOP_WORTH_SHARING = 2e8  # of one training step of all models: below it two threads mostly wait for each other


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

    small = context.device_kind == "cpu" and costs.step_flop(params) < FLOP_WORTH_SHARING
    if "published" in params.protocols:
        with one_thread(small):
            yield from placed("published", published(params, data, context))
    if "sound" in params.protocols:
        sound = Sound(params, data, context)
        with one_thread(small):
            yield from placed("sound", sound.train())
        yield from placed("cost", cost(params, data, context, sound.trainer))
        yield from placed("test", sound.test())
    yield Progress(1.0, params.model)


def cost(params: EntropyStoppingParameters, data: Examples, context: Context, trainer: Trainer) -> Generator[Event, None, None]:
    """What one training step and one evaluation of a single model cost, in time and, where asked for, in joules."""
    recorder = Recorder("sound", context.device, params.model, data.label, ())
    yield recorder.record(COST, CONSTANT, STEPS_PER_EPOCH, trainer.steps_per_epoch, "1")
    model, evaluated = trainer.alone(), trainer.alone()
    arms = [
        step_arm(STEP, ALONE, "baseline", model, Adam(model, params.learning_rate), trainer.batches([params.seed])),
        evaluation_arm(EVALUATION, ALONE, "baseline", evaluated, evaluation(data.validation)),
    ]
    dimensions = dimensions_of(COST, model=params.model, data=data.label)
    with_energy = params.energy != "none"
    timing = measuring.timed(arms, arms[0].key, context.device, sampling_of(params), dimensions, "one model alone")
    yield from within(timing, 0.0, 0.2 if with_energy else 1.0)
    if with_energy:
        yield from within(measuring.energy(arms, params.energy, context, dimensions), 0.2, 1.0)
