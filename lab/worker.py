"""One run in a process of its own: ``python -m lab.worker``, one job line on stdin, events out as lines of a file.

    stdin   one JSON line (:class:`Job`); its end means that the supervisor died, and ends this process group
    out     <folder>/events.jsonl, one JSON object a line with rising ``seq``, each written at once and whole
    1, 2    free for the chatter of libraries: nothing that is printed can mix with the events

The process knows nothing of the store or the server. Heavy imports happen only after the first event is out, and only after the
device is ours: importing torch would disturb another run's measurement.

``--standby LOCK WORKLOAD…`` imports the experiments of these workloads before there is a job, and closes the inherited file descriptor
LOCK, which holds the lock of the host, when it is done. A thread listens to stdin meanwhile, so that a job that comes early is
acknowledged at once and the death of the supervisor is noticed. Such a process has not used CUDA yet when its job comes: the driver reads
CUDA_VISIBLE_DEVICES when it is initialised, not when torch is imported, so that the job can still set it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import importlib
import json
import math
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.records import DataUsed, Event, Fact, Phase, Progress, Record

MAX_JOB_BYTES = 1 << 20
PROGRESS_INTERVAL_S = 0.05  # progress events that follow sooner are dropped: nobody could see them
EXIT_FAILED, EXIT_USAGE, EXIT_DISK_FULL = 1, 2, 74
EXIT_UNFIT = 75  # of a standby whose imports have used the GPU
EVENTS_FILE, LOG_FILE = "events.jsonl", "worker.log"  # in the job's folder
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
START, WAIT, IMPORT = "start", "wait for the device", "load libraries"  # phases that every run has


@dataclass(frozen=True)
class Job:
    """What a worker is asked to do; all of it plain JSON values. ``plan`` is :meth:`lab.parameters.Plan.to_json`."""

    run_id: str
    workload: str
    plan: Mapping[str, Any]
    preset: str
    device: str
    locks: tuple[str, ...]
    threads: int
    folder: str
    cache_dir: str

    def to_line(self) -> bytes:
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Job:
        """Inverse of :meth:`to_line`. Raises ValueError naming what is wrong (values are checked later, by the workload)."""
        try:
            data = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the job is not one line of JSON ({error})") from None
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(data, dict) or sorted(data) != sorted(names):
            raise ValueError(f"the job must have exactly the fields {', '.join(names)}")
        for name, value in data.items():
            expected = {"plan": dict, "locks": list, "threads": int}.get(name, str)
            if not isinstance(value, expected) or isinstance(value, bool):
                raise ValueError(f"{name} of the job must be of type {expected.__name__}")
        return cls(**{**data, "locks": tuple(map(str, data["locks"]))})


class EventLog:
    """The append-only event file. Each event is one write of a whole line; a line that did not fit leaves no torn rest behind.

    It goes on where another worker, a standby that died with the job in its hands, has begun.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        begun = path.read_bytes()
        os.ftruncate(self._descriptor, begun.rfind(b"\n") + 1)
        self._seq = begun.count(b"\n")

    def write(self, kind: str, **body: Any) -> None:
        """Append one event. Raises OSError on a full disk; the file then ends with the event before."""
        event = {"seq": self._seq, "kind": kind, **body}
        line = json.dumps(event, allow_nan=False, default=_plain).encode() + b"\n"
        before = os.fstat(self._descriptor).st_size
        try:
            rest = line
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, before)
            raise
        self._seq += 1


def command(*arguments: str) -> list[str]:
    """The command line of a worker."""
    return [sys.executable, "-m", "lab.worker", *arguments]


def environment(base: Mapping[str, str], threads: int, cache_dir: str) -> dict[str, str]:
    """The environment of a worker: ``base`` with what libraries read when they are imported, and with this source tree in the path.

    Fixed thread counts, compilation caches that outlive the run (unless ``base`` has others), the device order of NVML, by which devices
    are chosen and locked.
    """
    path = (str(Path(__file__).resolve().parent.parent), *base.get("PYTHONPATH", "").split(os.pathsep))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return {
        "TRITON_CACHE_DIR": str(Path(cache_dir, "triton")),
        "TORCHINDUCTOR_CACHE_DIR": str(Path(cache_dir, "inductor")),
        **base,
        **dict.fromkeys(names, str(threads)),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, path))),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }


def main(arguments: Sequence[str] = ()) -> int:
    """Run the job that stands on stdin; returns the exit status. ``arguments``: those of a standby, see the module's docstring."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)  # the end of the supervisor ends our whole group: it must be ours alone
    received: queue.SimpleQueue[tuple[Job, EventLog]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(received,), name="listen", daemon=True).start()
    standby = arguments[:1] == ["--standby"]
    if standby:
        _import_ahead(arguments[2:])
        os.close(int(arguments[1]))
        if _has_used_gpu():
            return EXIT_UNFIT
    job, log = received.get()
    if standby:
        _move_into(job.folder)
    return _run(job, log)


def _listen(received: queue.SimpleQueue[tuple[Job, EventLog]]) -> None:
    """Receive the job and write its first event; then end the whole group when stdin ends."""
    line = _read_job_line()
    if not line:
        os._exit(0)  # also in the middle of an import
    try:
        job = Job.from_line(line)
        log = EventLog(Path(job.folder, EVENTS_FILE))
        log.write("phase", cell=0, share=0.0, **dataclasses.asdict(Phase(START, budgeted=False)))
    except (ValueError, OSError) as error:
        print(f"invalid worker input: {error}", file=sys.stderr, flush=True)
        os._exit(EXIT_DISK_FULL if isinstance(error, OSError) and error.errno in DISK_FULL else EXIT_USAGE)
    received.put((job, log))
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _import_ahead(names: Sequence[str]) -> None:
    from lab.workload import workloads

    known = workloads()
    for name in names:
        with contextlib.suppress(Exception):  # the run that needs it will say what is wrong
            importlib.import_module(known[name].entry_point.partition(":")[0])


def _has_used_gpu() -> bool:
    """Whether the CUDA driver was initialised in this process, by torch or behind its back (then device files are open)."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return True
    for descriptor in Path("/proc/self/fd").glob("*"):  # empty where there is no /proc
        with contextlib.suppress(OSError):  # the one that lists the folder is closed by now
            if str(descriptor.readlink()).startswith("/dev/nvidia"):
                return True
    return False


def _move_into(folder: str) -> None:
    """Work in the run's folder and print into its log, as a cold worker does from the start."""
    os.chdir(folder)
    log = os.open(LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _run(job: Job, log: EventLog) -> int:
    memory_parameter = ""  # what to lower where memory runs out
    try:
        os.environ.update(environment(os.environ, job.threads, job.cache_dir))
        if job.device == "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a CPU run must not open a context on a GPU that another run measures
        from lab import device_lock, energy_meter, parameters  # from here on imports take time
        from lab import workload as declarations

        workload = declarations.workload(job.workload)
        memory_parameter = workload.memory_parameter
        plan = parameters.Plan.from_json(workload.parameters, job.plan)
        emit = _Emitter(log, len(plan.cells))

        def waiting(name: str) -> None:
            emit(Phase(WAIT, f"another run has {name}", budgeted=False))

        with device_lock.hold(job.locks, waiting):
            emit(Phase(IMPORT, budgeted=False))
            energy_obstacle = energy_meter.obstacle(job.device)  # before there is a CUDA context of ours
            module, _, function = workload.entry_point.partition(":")
            experiment = getattr(importlib.import_module(module), function)
            log.write("facts", **_facts(job), energy_method=f"not measured: {energy_obstacle or energy_meter.NOT_ASKED_FOR}")
            for cell, params in enumerate(plan.cells):
                emit.cell = cell
                memory_parameter = workload.memory(params, "cpu").parameter or workload.memory_parameter
                context = declarations.Context(
                    job.device, cell, len(plan.cells), job.preset, job.threads, job.cache_dir, plan, energy_obstacle
                )
                with contextlib.closing(experiment(params, context)) as events:
                    emit.all(events)
        log.write("end", status="finished", reason="")
    except BaseException as error:  # whatever it is, also a SystemExit of a library: the run must say why it ended
        traceback.print_exc()
        with contextlib.suppress(OSError):  # a full disk: then the exit status has to say it
            log.write("end", status="failed", reason=failure(error, memory_parameter))
        return EXIT_DISK_FULL if isinstance(error, OSError) and error.errno in DISK_FULL else EXIT_FAILED
    return 0


class _Emitter:
    """Writes what the experiment yields, with its place in the sweep."""

    def __init__(self, log: EventLog, n_cells: int) -> None:
        self._log, self._n_cells = log, n_cells
        self.cell = 0
        self._fraction = 0.0
        self._next_progress_s = -math.inf

    def all(self, events: Iterable[Event]) -> None:
        self._fraction = 0.0
        for event in events:
            self(event)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Record):
            self._log.write("record", cell=-1 if event.whole_run else self.cell, record=_record(event))
        elif isinstance(event, Phase):
            self._log.write("phase", cell=self.cell, share=self._share(), **dataclasses.asdict(event))
        elif isinstance(event, Progress):
            self._fraction = min(max(float(event.fraction), self._fraction), 1.0)  # a bar never moves backwards
            now_s = time.monotonic()
            if now_s >= self._next_progress_s or self._fraction == 1.0:
                self._next_progress_s = now_s + PROGRESS_INTERVAL_S
                self._log.write("progress", cell=self.cell, share=self._share(), fraction=self._fraction, message=event.message)
        elif isinstance(event, Fact):
            self._log.write("facts", **{event.name: event.value})
        elif isinstance(event, DataUsed):
            self._log.write("data", data={**dataclasses.asdict(event), "sizes": dict(event.sizes)})
        else:
            raise TypeError(f"an experiment yields Phase, Progress, Fact, DataUsed or Record, not {type(event).__name__}")

    def _share(self) -> float:
        return (self.cell + self._fraction) / self._n_cells


def failure(error: BaseException, memory_parameter: str) -> str:
    """Why a run failed, in one line: invalid input, out of memory (naming the parameter to lower), full disk, or the error itself."""
    kinds = {cls.__name__ for cls in type(error).__mro__}  # by name: torch is not imported just to know its classes
    first_line = (str(error).splitlines() or [""])[0][:300]
    detail = f" ({first_line})" if first_line else ""
    if "ParameterError" in kinds:
        return f"invalid input: {first_line}"
    if kinds & {"MemoryError", "OutOfMemoryError"} or "can't allocate memory" in first_line:
        return f"out of memory: lower {memory_parameter}{detail}" if memory_parameter else f"out of memory{detail}"
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return f"the disk is full{detail}"
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _read_job_line() -> bytes:
    # Unbuffered: no buffer must keep what follows the line, or its end.
    line = b""
    while b"\n" not in line and len(line) <= MAX_JOB_BYTES:
        block = os.read(0, 65536)
        if not block:
            break
        line += block
    return line


def _facts(job: Job) -> dict[str, Any]:
    """What only this process can know, for the manifest: what torch was built with and what it sees of the device."""
    facts: dict[str, Any] = {"threads": job.threads, "versions": {}}
    torch = sys.modules.get("torch")
    if torch is None:
        return facts
    facts["threads"] = torch.get_num_threads()
    facts["versions"] = {"torch": torch.__version__, "cuda": torch.version.cuda}
    if job.device != "cpu":
        properties = torch.cuda.get_device_properties(job.device)
        facts["versions"]["cudnn"] = torch.backends.cudnn.version()
        facts["gpu"] = {
            "name": properties.name,
            "compute_capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
            "l2_cache_bytes": properties.L2_cache_size,
            "memory_total_bytes": properties.total_memory,
        }
    return facts


def _record(record: Record) -> dict[str, Any]:
    body = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    body["dimensions"] = dict(record.dimensions)
    if record.value is not None:
        body["value"] = float(record.value)
        if not math.isfinite(body["value"]):
            body |= {"value": None, "reason": record.reason or f"the measured value is {body['value']}"}
    return body


def _plain(value: object) -> Any:
    """A NumPy or torch scalar as a plain number, for json."""
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"{type(value).__name__} is not a plain value")
    return item()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
