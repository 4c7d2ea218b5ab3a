"""Keeping a device busy with one arm's calls: batches that run while the host does something else.

Energy is counted over seconds in which the device must never wait for the host, and the host must still know which calls ended when.
So calls are given to the device in *batches*, some milliseconds of work each, a few of them ahead; each batch tells, on the host's
clock, when its last call ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from typing import Protocol as Interface

from lab.cuda_graphs import CudaGraphs
from lab.timing import Arm, ArmKey, Clock, graph_calls


class Batch(Interface):
    """Calls that were given to the device together."""

    calls: int

    def ended_s(self) -> float | None:
        """When the last call ended, in seconds on the host's clock; None while it has not."""
        ...


class Load(Interface):
    """Gives calls of arms to a device."""

    def prepare(self, arm: Arm, batch_s: float) -> None:
        """Make an arm ready to run in batches of about ``batch_s`` seconds. Raises whatever the arm raises."""
        ...

    def synchronize(self) -> None:
        """Wait until the device is idle; ends of later batches are told from here on."""
        ...

    def submit(self, arm: Arm, first: int, calls: int) -> Batch:
        """Give the device at least ``calls`` calls, from the ``first``-th rotated input on, without waiting for them."""
        ...


class CudaLoad:
    """Calls on a CUDA device: replays of a graph, or with ``graphs=False`` one call after the other.

    A replay costs the host one launch for many calls, so that the device is busy even with the smallest of them: this is what the hardware
    does. Without graphs a device may wait for the host between small calls: this is what a user of eager calls pays. Ends come from CUDA
    events, placed on the host's clock by an event recorded at each :meth:`synchronize` (known to about 20 µs; the two clocks drift apart
    by parts in a million).
    """

    def __init__(self, device: str, clock: Clock, *, graphs: bool = True) -> None:
        self._device, self._clock, self._use_graphs = device, clock, graphs
        self._captures = CudaGraphs(device)
        self._graphs: dict[ArmKey, tuple[Any, int]] = {}
        self._origin: Any = None
        self._origin_s = 0.0

    def prepare(self, arm: Arm, batch_s: float) -> None:
        """Capture whole turns of the arm's rotation (:func:`calls_per_graph`): replays keep the cache as cold as single calls do."""
        import torch

        if not self._use_graphs:
            return
        for i in range(3):
            arm.call(i)
        torch.cuda.synchronize(self._device)
        start_s = self._clock()
        for i in range(arm.period):
            arm.call(i)
        torch.cuda.synchronize(self._device)
        turn_s = self._clock() - start_s
        calls = calls_per_graph(arm.period, turn_s, batch_s)
        self._graphs[arm.key] = (self._captures.capture(arm, calls), calls)

    def synchronize(self) -> None:
        import torch

        torch.cuda.synchronize(self._device)
        self._origin = torch.cuda.Event(enable_timing=True)
        before_s = self._clock()
        self._origin.record()
        self._origin.synchronize()
        self._origin_s = (before_s + self._clock()) / 2

    def submit(self, arm: Arm, first: int, calls: int) -> Batch:
        import torch

        if arm.key in self._graphs:
            graph, calls_each = self._graphs[arm.key]
            replays = math.ceil(calls / calls_each)
            calls = replays * calls_each
            for _ in range(replays):
                graph.replay()
        else:
            for i in range(first, first + calls):
                arm.call(i)
        end = torch.cuda.Event(enable_timing=True)
        end.record()
        return _CudaBatch(calls, end, self._end_s)

    def close(self) -> None:
        """Free the captured graphs and their memory."""
        self._graphs.clear()
        self._captures.close()

    def _end_s(self, end: Any) -> float | None:
        return self._origin_s + self._origin.elapsed_time(end) / 1e3 if end.query() else None


def calls_per_graph(period: int, turn_s: float, batch_s: float) -> int:
    """Calls in a graph: as many whole turns of the rotation as fit into a batch, at least one, at most what ``device_time_s`` replays.

    ``turn_s``: how long one turn of ``period`` calls takes when it is launched call by call.
    """
    most = graph_calls(period)
    turns = most // period if turn_s * (most // period) <= batch_s else math.floor(batch_s / turn_s)
    return period * max(1, turns)


class _CudaBatch:
    def __init__(self, calls: int, end: Any, end_s: Callable[[Any], float | None]) -> None:
        self.calls, self._end, self._end_s = calls, end, end_s

    def ended_s(self) -> float | None:
        return self._end_s(self._end)
