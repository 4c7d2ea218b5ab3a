"""Capturing calls of arms as CUDA graphs, so that replays cost the host one launch for many calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.timing import Arm


@contextlib.contextmanager
def capturing(graph: Any, pool: Any, stream: Any) -> Iterator[None]:
    """Captures what its body launches on ``stream`` into ``graph``, a ``torch.cuda.CUDAGraph`` with the memory ``pool``.

    Raises whatever the body or the capture raises, for example for calls that wait for the device; random numbers can be drawn afterwards.
    """
    import torch

    try:
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            yield
    except BaseException:
        # A capture that fails leaves the generator believing that it is being captured, and the next random number would raise.
        generator = torch.cuda.default_generators[stream.device.index]
        generator.graphsafe_set_state(generator.clone_state())
        raise


class CudaGraphs:
    """Captures graphs on ``device`` that share one memory pool: none reads what another wrote."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._pool: Any = None

    def capture(self, arm: Arm, calls: int) -> Any:
        """A ``torch.cuda.CUDAGraph`` of the arm's first ``calls`` calls, replayed once.

        Raises whatever the arm or the capture raises, for example for calls that wait for the device.
        """
        import torch

        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        try:
            # The outer context puts the current stream back: a capture that fails leaves its own stream behind.
            with torch.cuda.stream(stream):
                for i in range(3):  # lazy set-up (workspaces, autograd's buffers) must not fall into the capture
                    arm.call(i)
                with capturing(graph, self._pool, stream):
                    for i in range(calls):
                        arm.call(i)
        except BaseException:
            self._pool = None  # the allocator may hold the pool of a failed capture open, and would refuse the next arm
            raise
        torch.cuda.current_stream(self._device).wait_stream(stream)
        graph.replay()
        torch.cuda.synchronize(self._device)  # an error of the replay belongs to this arm
        return graph

    def close(self) -> None:
        """Forget the pool; its memory is freed with the graphs."""
        self._pool = None
