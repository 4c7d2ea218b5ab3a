"""Peak memory of one arm alone.

Definitions. **Allocated** is the most bytes that one call has in live arrays at any moment, above what was live before it: its temporaries
and its output, with what autograd saves, and without its inputs, whatever other arms hold and the output of the call before. **Reserved**
is the same for what the framework has taken from the device, which comes in blocks and is what decides whether another job fits.

How it is counted, and what is not: on CUDA the caching allocator's own peaks after its cache was emptied (not counted: the CUDA context and
library workspaces outside the allocator); on a CPU the allocation and release events of the torch profiler, added up in time order (not
counted: scratch memory inside library calls), or ``tracemalloc`` for arms that compute with NumPy, which reports its arrays there (the few
hundred bytes of Python objects are counted too). Nothing is reserved on a CPU.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass

from lab.records import Protocol, Record, Scalar
from lab.timing import NO_DIMENSIONS, Arm, described

ALLOCATED = "peak_memory_bytes"
RESERVED = "peak_reserved_bytes"
NO_RESERVE = "a CPU has no caching allocator that reserves memory"


@dataclass(frozen=True)
class PeakMemory:
    """Peak bytes of one arm; None with the reason where it was not measured."""

    arm: Arm
    allocated_bytes: int | None
    reserved_bytes: int | None
    reason: str = ""

    def records(self, protocol: Protocol, dimensions: Mapping[str, Scalar] = NO_DIMENSIONS) -> list[Record]:
        """Records of both metrics, exact (no repeat)."""
        values = {ALLOCATED: self.allocated_bytes, RESERVED: self.reserved_bytes}
        return [
            self.arm.record(protocol, metric, value, "B", reason=self.reason if value is None else "", dimensions=dimensions)
            for metric, value in values.items()
        ]


def torch_peak_memory(arm: Arm) -> PeakMemory:
    """Peak memory of an arm whose arrays are torch tensors on ``arm.device``. An arm that fails has no value but its error as reason."""
    measure = _cuda_peak if arm.device.startswith("cuda") else _torch_cpu_peak
    try:
        return measure(arm)
    except Exception as error:  # out of memory, for example: the other arms can still be measured
        return PeakMemory(arm, None, None, described(error))


def numpy_peak_memory(arm: Arm) -> PeakMemory:
    """Peak memory of an arm whose arrays are NumPy's. An arm that fails has no value but its error as reason."""
    tracing = tracemalloc.is_tracing()
    try:
        arm.call(0)  # whatever is set up once does not belong to a call
        if not tracing:
            tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        arm.call(0)
        _, peak = tracemalloc.get_traced_memory()
    except Exception as error:
        return PeakMemory(arm, None, None, described(error))
    finally:
        if not tracing:
            tracemalloc.stop()
    return PeakMemory(arm, peak - before, None, NO_RESERVE)


def _cuda_peak(arm: Arm, calls: int = 3) -> PeakMemory:
    import torch

    device = arm.device
    # The same input each time: the place in the ring of outputs is taken, so each call starts from the same live bytes.
    arm.call(0)
    torch.cuda.synchronize(device)
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    allocated, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    for _ in range(calls):
        arm.call(0)
    torch.cuda.synchronize(device)
    return PeakMemory(
        arm,
        torch.cuda.max_memory_allocated(device) - allocated,
        torch.cuda.max_memory_reserved(device) - reserved,
    )


def _torch_cpu_peak(arm: Arm) -> PeakMemory:
    from torch.profiler import ProfilerActivity, profile

    arm.call(0)
    # One call only: what was allocated before (the output of that first call) is then outside the count when it is released.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        arm.call(0)
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return PeakMemory(arm, peak, None, NO_RESERVE)
