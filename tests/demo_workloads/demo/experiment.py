"""The demo experiment; see :mod:`tests.demo_workloads.demo.spec` for what it is told."""

from __future__ import annotations

import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from lab.parameters import ParameterError
from lab.records import DataUsed, Event, Fact, Phase, Progress, Record, Role
from lab.workload import Context
from tests.demo_workloads.demo.spec import Parameters

FILE_SIZE_LIMIT_BYTES = 20_000  # some 30 records
ADDRESS_SPACE_LIMIT_BYTES = 16 << 30  # far above what the worker uses, and refused where one object asks for all of it


class OutOfMemoryError(RuntimeError):
    """Stands in for torch.OutOfMemoryError, which the worker knows by its name."""


def run(params: Parameters, context: Context) -> Iterator[Event]:
    if params.ending == "fill_disk":  # a real limit: the kernel refuses to let any file of this process grow beyond it
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE_LIMIT_BYTES, FILE_SIZE_LIMIT_BYTES))
    yield Phase("measure", f"n = {params.n}")
    yield Fact("energy_method", f"not measured: n = {params.n} draws nothing")
    sizes = {"train": 2, "validation": 1, "test": 1}
    yield DataUsed("made_up", "Made-up data", "made-up 0f0f", "this test suite", "public domain", "0f" * 32, sizes)  # each cell says so
    for repeat in range(params.repeats):
        if params.chatter:
            print(f'{{"seq": 0, "kind": "chatter {repeat}"}}', flush=True)  # looks like an event on purpose
            os.write(2, b"a C library warns\n")
        base_s = 1e-3 * (1 + (params.seed + repeat) % 7 / 100)
        for arm, role, value in (("new", "technique", base_s), ("old", "baseline", 2 * base_s)):
            yield _record(params, context, arm, role, value, repeat)
        yield Progress((repeat + 1) / params.repeats, f"observation {repeat + 1} of {params.repeats}")
        time.sleep(params.interval_s)
    if params.ending == "not_finite":
        yield _record(params, context, "new", "technique", math.nan, params.repeats)
    if params.ending == "not_an_event":
        yield "a text"  # type: ignore[misc]
    _end(params.ending)


def _record(params: Parameters, context: Context, arm: str, role: Role, value: float, repeat: int) -> Record:
    return Record(
        protocol="sound",
        arm=arm,
        role=role,
        implementation="eager",
        device=context.device,
        dtype="float64",
        metric="latency_s",
        value=value,
        unit="s",
        repeat=repeat,
        seed=params.seed,
        dimensions={"step": 0},
    )


def _end(ending: str) -> None:
    match ending:
        case "hang":
            _hang()
        case "hang_ignoring_sigterm":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _hang()
        case "hang_with_child":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            print(f"child {child.pid}", flush=True)
            _hang()
        case "crash":
            os._exit(7)
        case "kill_itself":
            os.kill(os.getpid(), signal.SIGKILL)
        case "leave_silently":
            os._exit(0)
        case "memory_error":
            raise MemoryError
        case "out_of_memory":  # a real limit: the kernel refuses the allocation
            resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_LIMIT_BYTES, ADDRESS_SPACE_LIMIT_BYTES))
            bytearray(ADDRESS_SPACE_LIMIT_BYTES)
        case "cuda_out_of_memory":
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        case "invalid_value":
            raise ParameterError("n", 3, "an even number")
        case "error":
            raise RuntimeError("first line of the error\nsecond line")


def _hang() -> None:
    while True:
        time.sleep(60)
