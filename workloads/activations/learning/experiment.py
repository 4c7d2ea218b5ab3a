"""The learning study of the activation experiment: the published protocols, then the sound comparison. Worker side: imports torch."""

from __future__ import annotations

from collections.abc import Generator

import torch

from lab.measuring import within
from lab.records import Event
from lab.training.threads import one_thread
from lab.workload import Context
from workloads.activations.learning import costs
from workloads.activations.learning.published import published
from workloads.activations.learning.sound import comparisons, joules
from workloads.activations.parameters import ActivationParameters

# A step of less is done before a second thread has woken up; where other programs want the cores, waiting for it costs many times the step.
FLOP_WORTH_SHARING = 2e8


def run(params: ActivationParameters, context: Context) -> Generator[Event, None, None]:
    """Everything the study yields; its records belong to the run as a whole."""
    # Phi6Simple and ZetaLn2 can drive weights and moments into denormal numbers, with which a CPU computes a hundred times more slowly.
    torch.set_flush_denormal(True)
    parts = {"published": published, "sound": comparisons, "joules": joules}
    seconds = costs.parts_s(params, context.device_kind)
    done, total = 0.0, sum(seconds.values())
    try:
        with one_thread(costs.largest_step_flop(params) < FLOP_WORTH_SHARING):
            for name, own in seconds.items():
                yield from within(parts[name](params, context), done / total, (done + own) / total)
                done += own
    finally:
        torch.set_flush_denormal(False)  # what is timed after this computes as any program does
