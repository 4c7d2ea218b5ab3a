"""The FFT-Mix experiment: parameter counts, the published training step, one layer of each kind over N, and training. Worker side.

Order: what needs no measuring, then (in the first cell) the training step of the published models, then in each cell the layers at its N;
the last cell ends with the trainings, which no N changes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

import torch

from lab.measuring import within
from lab.records import Event, Phase, Progress, Protocol, Record, Role, Scalar
from lab.workload import Context
from workloads.fft_mixing import accuracy, costs, published_training, speed
from workloads.fft_mixing.classifier import D_MODEL, STATED_PARAMETERS, PublishedClassifier
from workloads.fft_mixing.layers import parameter_count
from workloads.fft_mixing.names import COUNT, FFT_MIX, LONGEST_WINDOW, PARAMETER_COUNT, dimensions_of
from workloads.fft_mixing.parameters import FftMixingParameters, energy_cell
from workloads.fft_mixing.published_training import PUBLISHED
from workloads.fft_mixing.training_step import MIXERS, N_CLASSES, SEQ_LEN, training_steps


def run(params: FftMixingParameters, context: Context) -> Iterator[Event]:
    """Everything one cell of the sweep yields; counts and the training step belong to the first one, training to the last."""
    torch.set_num_threads(context.threads)
    if context.device_kind == "cuda":
        yield Phase("initialise the GPU", budgeted=False)
        torch.cuda.synchronize(context.device)
    parts: list[tuple[float, Generator[Event, None, None]]] = []
    first, last = context.cell == 0, context.cell == context.n_cells - 1
    if first:
        yield from counts(params)
    if "speed" in params.studies:
        with_energy = params.energy != "none" and context.cell == energy_cell(context.plan)
        if first:
            parts.append((costs.training_step_s(params, context.device_kind), _training_steps(params, context)))
        parts.append((costs.layers_s(params, context.device_kind), speed.comparison(params, context, with_energy)))
    if "accuracy" in params.studies and last:
        parts.append((costs.published_training_s(params, context.device_kind), published_training.run(params, context)))
        parts.append((costs.sound_training_s(params, context.device_kind), accuracy.run(params, context)))
    total_s = sum(seconds for seconds, _ in parts) or 1.0
    done_s = 0.0
    for seconds, events in parts:
        yield from within(events, done_s / total_s, (done_s + seconds) / total_s)
        done_s += seconds
    yield Progress(1.0, f"N = {params.seq_len:,}")


def counts(params: FftMixingParameters) -> Iterator[Record]:
    """The longest window, and the parameters of the published models: as the source states them, and counted in the models themselves."""

    def exact(name: str, protocol: Protocol, how: str, metric: str, value: float, unit: str, dimensions: dict[str, Scalar]) -> Record:
        role: Role = "technique" if name == FFT_MIX else "baseline"
        return Record(protocol, name, role, how, "", "", metric, float(value), unit, dimensions=dimensions, whole_run=True)

    yield exact(FFT_MIX, "sound", "counted", LONGEST_WINDOW, params.window_lengths[-1], "tokens", dimensions_of(COUNT))
    of_models = dimensions_of(COUNT, seq_len=SEQ_LEN, d_model=D_MODEL)
    for name, implementation in PUBLISHED:
        counted = parameter_count(PublishedClassifier(MIXERS[name, implementation], SEQ_LEN, D_MODEL, N_CLASSES))
        yield exact(name, "published", "stated", PARAMETER_COUNT, STATED_PARAMETERS[name], "1", of_models)
        yield exact(name, "sound", "counted", PARAMETER_COUNT, counted, "1", of_models)


def _training_steps(params: FftMixingParameters, context: Context) -> Generator[Event, None, None]:
    """On the CPU under the published protocol; on a GPU, where asked for, under the sound one."""
    on_gpu = context.device_kind == "cuda" and params.device_step
    yield from within(_whole_run(training_steps(params, "cpu", "published")), 0.0, 0.5 if on_gpu else 1.0)
    if on_gpu:
        yield from within(_whole_run(training_steps(params, context.device, "sound")), 0.5, 1.0)


def _whole_run(events: Iterator[Event]) -> Generator[Event, None, None]:
    for event in events:
        yield replace(event, whole_run=True) if isinstance(event, Record) else event
