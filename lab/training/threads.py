"""How many threads a CPU trains small models with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread(small: bool) -> Iterator[None]:
    """Within the block torch uses one thread where the work is ``small``; afterwards as many as before.

    Threads that share an operation of some microseconds mostly wait for each other. On idle cores one thread costs little; beside other
    work it saves most of the time, as the threads wait at the operation's end for whichever of them is not running.
    """
    threads = torch.get_num_threads()
    if small:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
