"""The SSA experiment: for each N of the sweep speed and fidelity, and once per run spectra, table 6, figure 3, quality and the text model.

Runs in the worker process only.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import torch

from lab.measuring import within
from lab.records import Event, Phase, Progress
from lab.workload import Context
from workloads.spectral_sparse_attention.fidelity import fidelity
from workloads.spectral_sparse_attention.parameters import SsaParameters
from workloads.spectral_sparse_attention.quality import quality
from workloads.spectral_sparse_attention.spectral_study import spectral_study
from workloads.spectral_sparse_attention.speed import speed
from workloads.spectral_sparse_attention.table6 import ablation, table6

Part = Callable[[SsaParameters, Context], Generator[Event, None, None]]
WHOLE_RUN: dict[str, Part] = {"spectrum": spectral_study, "table6": table6, "quality": quality, "ablation": ablation}


def run(params: SsaParameters, context: Context) -> Iterator[Event]:
    """Everything one cell of the sweep yields; the first cell also yields what belongs to the run as a whole."""
    torch.set_num_threads(context.threads)
    if context.device_kind == "cuda":
        yield Phase("initialise the GPU", budgeted=False)
        torch.cuda.synchronize(context.device)
    parts = list(_parts(params, context))
    for index, part in enumerate(parts):
        yield from within(part, index / len(parts), (index + 1) / len(parts))
    yield Progress(1.0, "done")


def _parts(params: SsaParameters, context: Context) -> Iterator[Generator[Event, None, None]]:
    """The parts asked for, in the order in which a reader wants to see them."""
    if context.cell == 0:
        for name, part in WHOLE_RUN.items():
            if name in params.parts:
                yield part(params, context)
    if "speed" in params.parts:
        yield speed(params, context)
    if "fidelity" in params.parts:
        yield fidelity(params, context)
