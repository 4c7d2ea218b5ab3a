"""Cold caches: inputs rotated so that no call finds its data where the call before it left them.

A *rotation* holds k distinct random inputs whose sizes add up to at least 4× the last cache before main memory (GPU: L2; CPU: last level),
and a ring of k places for outputs, so that the allocator does not hand a call the hot block that the call before has just freed. Call i
uses input i mod k. Where a cap on count or bytes keeps k too small, ``Rotation.reason`` says how much of the cache is covered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COVERAGE = 4.0  # times the cache
MAX_BUFFERS = 512
MAX_BYTES = 2**30
ASSUMED_CPU_CACHE_BYTES = 64 * 2**20  # where the system does not tell: larger than the last level of most machines


@dataclass(frozen=True)
class Rotation:
    """``buffers``: distinct inputs; ``reason``: "" where they cover the cache, else by how much they do not."""

    buffers: tuple[Any, ...]
    reason: str = ""
    outputs: list[Any] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.outputs[:] = [None] * self.period

    @property
    def period(self) -> int:
        """After how many calls an input comes back."""
        return len(self.buffers)

    def call(self, function: Callable[[Any], object]) -> Callable[[int], None]:
        """``function`` on the i-th rotated input, its output kept for one turn of the ring.

        The arms of a comparison share the ring, so only one turn of outputs is alive at a time.
        """
        buffers, outputs, period = self.buffers, self.outputs, self.period

        def run(i: int) -> None:
            place = i % period
            outputs[place] = function(buffers[place])

        return run

    def drop_outputs(self) -> None:
        """Free the outputs that are kept."""
        self.outputs[:] = [None] * self.period


def rotated_buffers(
    make: Callable[[int], Any],
    bytes_each: int,
    cache_bytes: int,
    *,
    max_buffers: int = MAX_BUFFERS,
    max_bytes: int = MAX_BYTES,
) -> Rotation:
    """As many inputs ``make(0), make(1), …`` as cover 4× ``cache_bytes``, within the caps but at least one.

    ``bytes_each``: size of one input (an array or tensor, or a tuple of them). ``make`` must return random data of its own each time:
    ValueError where it hands out one object twice or data that begins with zeros only (zeros hide unwritten outputs and can run faster
    than real data).
    """
    wanted = max(1, math.ceil(COVERAGE * cache_bytes / bytes_each))
    count = max(1, min(wanted, max_buffers, max_bytes // bytes_each))
    buffers = tuple(make(i) for i in range(count))
    if len({id(buffer) for buffer in buffers}) < count:
        raise ValueError("rotated inputs must be distinct objects")
    for buffer in buffers:
        for array in buffer if isinstance(buffer, tuple) else (buffer,):
            start = array.reshape(-1)[:1024].tolist() if hasattr(array, "reshape") else []
            if start and not any(start):
                raise ValueError("rotated inputs must be random, not zeros")
    reason = ""
    if count < wanted:
        share = count * bytes_each / cache_bytes
        reason = f"partial cache: {count} rotated inputs hold {share:.2g} times the cache, {COVERAGE:g} wanted"
    return Rotation(buffers, reason)


def cache_bytes(device: str) -> int:
    """Bytes of the last cache before main memory: L2 of a CUDA device, last level of the CPU (where unknown, 64 MiB is assumed)."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(device).L2_cache_size)
    return _cpu_cache_bytes(Path("/sys/devices/system/cpu/cpu0/cache")) or ASSUMED_CPU_CACHE_BYTES


def _cpu_cache_bytes(folder: Path) -> int | None:
    """Size of the highest-level cache that Linux lists in ``folder`` ("index3/size": "32768K"), or None."""
    found: dict[int, int] = {}
    for index in folder.glob("index*"):
        try:
            level, size = int((index / "level").read_text()), (index / "size").read_text().strip()
            found[level] = int(size.rstrip("KMG")) * {"K": 2**10, "M": 2**20, "G": 2**30}.get(size[-1], 1)
        except (OSError, ValueError, IndexError):
            continue
    return found[max(found)] if found else None
