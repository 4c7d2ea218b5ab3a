"""The learning study of the activation experiment: the published protocols, then the sound comparison. Worker side: imports torch."""

from __future__ import annotations

from collections.abc import Generator

import torch

from lab.measuring import within
from lab.records import Event
from lab.workload import Context
from workloads.activations.learning import costs
from workloads.activations.learning.published import published
from workloads.activations.learning.sound import comparisons
from workloads.activations.parameters import ActivationParameters


def run(params: ActivationParameters, context: Context) -> Generator[Event, None, None]:
    """Everything the study yields; its records belong to the run as a whole."""
    # Phi6Simple and ZetaLn2 can drive weights and moments into denormal numbers, with which a CPU computes a hundred times more slowly.
    torch.set_flush_denormal(True)
    try:
        kind = context.device_kind
        share = 0.0
        if "published" in params.trainings:
            share = costs.published_s(params, kind) / costs.duration_s(params, kind)
            yield from within(published(params, context), 0.0, share)
        yield from within(comparisons(params, context), share, 1.0)
    finally:
        torch.set_flush_denormal(False)  # what is timed after this computes as any program does
