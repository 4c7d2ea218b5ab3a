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
from workloads.spectral_sparse_attention.text_model import TextModel, TextTokens, perplexities, trained

Part = Callable[[SsaParameters, Context], Generator[Event, None, None]]
PLANTED_ONLY: dict[str, Part] = {"table6": table6, "quality": quality, "ablation": ablation}  # whatever the run's data are
TRAINING_SHARE = 0.3  # of the progress, where the text model is trained


def run(params: SsaParameters, context: Context) -> Iterator[Event]:
    """Everything one cell of the sweep yields; the first cell also yields what belongs to the run as a whole."""
    torch.set_num_threads(context.threads)
    if context.device_kind == "cuda":
        yield Phase("initialise the GPU", budgeted=False)
        torch.cuda.synchronize(context.device)
    on_text = params.data == "text"
    text = None
    if on_text or (context.cell == 0 and "text" in params.parts):
        text = yield from within(trained(params, context), 0.0, TRAINING_SHARE)
    source = TextTokens(text, params.layer, params.head) if text is not None and on_text else None
    parts = list(_parts(params, context, source, text))
    begun = TRAINING_SHARE if text is not None else 0.0
    for index, part in enumerate(parts):
        yield from within(part, *(begun + (1 - begun) * place / len(parts) for place in (index, index + 1)))
    yield Progress(1.0, "done")


def _parts(
    params: SsaParameters, context: Context, source: TextTokens | None, text: TextModel | None
) -> Iterator[Generator[Event, None, None]]:
    """The parts asked for, in the order in which a reader wants to see them; real text decides some of its parameters itself."""
    own = params.on_its_data
    if context.cell == 0:
        if "spectrum" in params.parts:
            yield spectral_study(own, context, source)
        if "text" in params.parts and text is not None:
            yield perplexities(params, context, text)
        for name, part in PLANTED_ONLY.items():
            if name in params.parts:
                yield part(params, context)
    if "speed" in params.parts:
        yield speed(own, context, source)
    if "fidelity" in params.parts:
        yield fidelity(own, context, source)
