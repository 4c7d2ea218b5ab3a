"""One thread for trainings so small that more of them mostly wait for each other. Worker side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lab.workload import Context

SMALL_TOKENS = 1 << 14  # of one training step, all models together; width 28 or 32


@contextmanager
def small_work(tokens: int, context: Context) -> Iterator[None]:
    """Within the block a CPU trains steps of up to :data:`SMALL_TOKENS` tokens on one thread.

    On two idle cores that costs a third of the time at most. Beside other work it saves most of it: threads that share an operation of
    some microseconds wait at its end for whichever of them is not running. It changes no result that is timed: the training step of the
    published models, which is, keeps the run's threads.
    """
    threads = torch.get_num_threads()
    if context.device_kind == "cpu" and tokens <= SMALL_TOKENS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
