"""One thread for trainings so small that more of them mostly wait for each other. Worker side."""

from __future__ import annotations

from contextlib import AbstractContextManager

from lab.training.threads import one_thread
from lab.workload import Context

SMALL_TOKENS = 1 << 14  # of one training step, all models together; width 28 or 32


def small_work(tokens: int, context: Context) -> AbstractContextManager[None]:
    """Within the block a CPU trains steps of up to :data:`SMALL_TOKENS` tokens on one thread.

    It changes no result that is timed: the training step of the published models, which is, keeps the run's threads.
    """
    return one_thread(context.device_kind == "cpu" and tokens <= SMALL_TOKENS)
