"""What is known of the machine without torch (NVML, psutil, files), which device a run gets, and the manifest of a run.

Each thing that is missing has its reason beside it. The web server may call everything here.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import datetime
import functools
import importlib.metadata
import importlib.util
import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from lab import SCHEMA_VERSION, __version__
from lab.formatting import quantity
from lab.parameters import ParameterError, Plan
from lab.workload import PRESETS, DeviceKind, MemoryNeed, Workload

PACKAGES = ("torch", "triton", "numpy", "scipy", "scikit-learn", "nvidia-ml-py", "streamlit")
RECORDED_FILES = "workloads/*/recorded/**"
COMMIT_VARIABLE = "EFFICIENCY_LAB_COMMIT"
ENERGY_NOT_MEASURED = "not measured: the run has not said how"
CLOCK_LIMITS = {  # bits of NVML's clocks event reasons
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}


@dataclass(frozen=True)
class Cpu:
    """``cores`` are physical, ``logical_cores`` counts hardware threads, ``threads`` is what a run uses (see :func:`cpu_threads`)."""

    model: str
    architecture: str
    cores: int | None
    logical_cores: int
    threads: int
    l2_cache_bytes: int | None
    l3_cache_bytes: int | None
    reason: str = ""


@dataclass(frozen=True)
class HostMemory:
    """Bytes of main memory, within the limit of a container where there is one."""

    total_bytes: int
    available_bytes: int


@dataclass(frozen=True)
class Gpu:
    """One GPU as NVML sees it. A value that NVML did not tell is None and stands in ``missing`` with the reason.

    ``other_processes`` counts processes with a compute context, ours included if we have one.
    """

    index: int
    name: str
    uuid: str
    memory_total_bytes: int | None
    memory_free_bytes: int | None
    mig: bool | None
    sm_clock_hz: int | None
    sm_clock_max_hz: int | None
    memory_clock_hz: int | None
    power_limit_w: float | None
    clock_limits: tuple[str, ...] | None
    other_processes: int | None
    missing: Mapping[str, str]


@dataclass(frozen=True)
class DeviceFacts:
    """The machine. ``gpus`` are those that CUDA may use, in its order; ``no_gpu`` says why there is none ("" if there is one)."""

    cpu: Cpu
    memory: HostMemory
    system: str
    driver: str | None
    gpus: tuple[Gpu, ...]
    no_gpu: str
    versions: Mapping[str, str | None]  # None: not installed


def device_facts() -> DeviceFacts:
    """Look at the machine now. Takes some milliseconds (the first look at a GPU longer)."""
    driver, gpus, no_gpu = _look_for_gpus()
    return DeviceFacts(
        cpu=_cpu(),
        memory=host_memory(),
        system=f"{platform.system()} {platform.release()}",
        driver=driver,
        gpus=gpus,
        no_gpu=no_gpu,
        versions={"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    )


def resolve_device(wanted: str, facts: DeviceFacts | None = None) -> str:
    """The device of a run, "cpu" or "cuda:0", for "auto", "cpu" or "cuda". Raises ParameterError saying what is missing for CUDA."""
    if wanted not in ("auto", "cpu", "cuda"):
        raise ParameterError("device", wanted, "one of auto, cpu, cuda")
    if wanted == "cpu":
        return "cpu"
    obstacle = cuda_obstacle(facts or device_facts())
    if not obstacle:
        return "cuda:0"
    if wanted == "cuda":
        raise ParameterError("device", "cuda", "auto, cpu", f"needs a CUDA GPU, its driver and a CUDA build of torch ({obstacle})")
    return "cpu"


def cuda_obstacle(facts: DeviceFacts) -> str:
    """Why a run cannot use CUDA here, in words; "" when it can."""
    if facts.no_gpu:
        return facts.no_gpu
    cuda = torch_cuda_version()
    if cuda is None:
        installed = facts.versions["torch"]
        return "the installed torch is a CPU build" if installed else "torch is not installed"
    return ""


def device_locks(device: str, facts: DeviceFacts) -> tuple[str, ...]:
    """The locks a run on ``device`` holds: the host always (launches need a quiet one), and its GPU."""
    return ("cpu",) if device == "cpu" else ("cpu", facts.gpus[0].uuid)


def memory_obstacle(need: MemoryNeed, device: str, facts: DeviceFacts, *, idle: bool = False) -> str:
    """Why the needed memory is not there, in words with both sizes; "" when it fits or when the memory is unknown.

    Compared with the memory that is free now; with ``idle=True`` with all there is, for a run that has to wait for others anyway.
    """
    host_bytes, there_bytes = need.host_bytes, facts.memory.total_bytes if idle else facts.memory.available_bytes
    if device == "cpu":
        host_bytes += need.device_bytes
    else:
        gpu_bytes = facts.gpus[0].memory_total_bytes if idle else facts.gpus[0].memory_free_bytes
        if gpu_bytes is not None and need.device_bytes > gpu_bytes:
            return f"needs {quantity(need.device_bytes, 'B')} of GPU memory, there are {quantity(gpu_bytes, 'B')}"
    if host_bytes > there_bytes:
        return f"needs {quantity(host_bytes, 'B')} of main memory, there are {quantity(there_bytes, 'B')}"
    return ""


def device_kind(device: str) -> DeviceKind:
    """The kind of a device name ("cuda:0" → "cuda")."""
    return "cuda" if device.startswith("cuda") else "cpu"


# --- CPU and main memory ------------------------------------------------------------------------------------------------------


def cpu_threads() -> int:
    """CPU threads of a run: one for each physical core that this process may use (hyper-threads add noise, not speed)."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_cpu_quota()
    return max(1, min(psutil.cpu_count(logical=False) or allowed, allowed, math.ceil(quota) if quota else allowed))


def host_memory() -> HostMemory:
    """Main memory, total and available now."""
    memory = psutil.virtual_memory()
    total, available = memory.total, memory.available
    limit = _cgroup_memory()
    if limit is not None:
        total, available = min(total, limit.total_bytes), min(available, limit.available_bytes)
    return HostMemory(total, available)


def _cgroup_file(*candidates: str) -> str | None:
    for candidate in candidates:  # version 2 first, then version 1
        with contextlib.suppress(OSError):
            return Path("/sys/fs/cgroup", candidate).read_text().strip()
    return None


def _cgroup_memory() -> HostMemory | None:
    limit = _cgroup_file("memory.max", "memory/memory.limit_in_bytes")
    used = _cgroup_file("memory.current", "memory/memory.usage_in_bytes")
    if limit is None or used is None or not limit.isdigit():  # "max": no limit
        return None
    statistics = dict(line.split() for line in (_cgroup_file("memory.stat", "memory/memory.stat") or "").splitlines())
    reclaimable = int(statistics.get("inactive_file", 0))  # cached file pages that the kernel gives up when memory is asked for
    return HostMemory(int(limit), max(0, int(limit) - int(used) + reclaimable))


def _cgroup_cpu_quota() -> float | None:
    """CPUs a container may use, None without a limit."""
    both = _cgroup_file("cpu.max")
    if both is not None:
        quota, period = both.split()
    else:
        quota = _cgroup_file("cpu/cpu.cfs_quota_us") or "max"
        period = _cgroup_file("cpu/cpu.cfs_period_us") or "100000"
    return None if quota in ("max", "-1") else int(quota) / int(period)


def _cpu() -> Cpu:
    l2, l3 = _cache_bytes(2), _cache_bytes(3)
    return Cpu(
        model=_cpu_model(),
        architecture=platform.machine(),
        cores=psutil.cpu_count(logical=False),
        logical_cores=psutil.cpu_count() or 1,
        threads=cpu_threads(),
        l2_cache_bytes=l2,
        l3_cache_bytes=l3,
        reason="" if l2 and l3 else "the system does not tell every cache size",
    )


@functools.cache
def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor()
    return platform.processor() or platform.machine()


@functools.cache
def _cache_bytes(level: int) -> int | None:
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            if int((index / "level").read_text()) == level:
                text = (index / "size").read_text().strip()
                return int(text[:-1]) * {"K": 1 << 10, "M": 1 << 20}[text[-1]]
    return None


# --- GPUs ---------------------------------------------------------------------------------------------------------------------


def _look_for_gpus() -> tuple[str | None, tuple[Gpu, ...], str]:
    """Driver version, the GPUs that CUDA may use, and why there is none."""
    try:
        import pynvml
    except ImportError:
        return None, (), "the NVML library for Python (nvidia-ml-py) is not installed"
    try:
        pynvml.nvmlInit()  # counted by NVML; never shut down, because starting it anew takes long
    except pynvml.NVMLError_LibraryNotFound:
        return None, (), "no NVIDIA driver is installed (its library NVML was not found)"
    except pynvml.NVMLError as error:
        return None, (), f"NVML cannot be used: {error}"
    try:
        driver = pynvml.nvmlSystemGetDriverVersion()
        found = [_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        return None, (), f"NVML cannot list the GPUs: {error}"
    if not found:
        return driver, (), "the driver finds no GPU"
    mask = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = _visible(found, mask)
    return driver, visible, "" if visible else f"CUDA_VISIBLE_DEVICES={mask!r} hides every GPU"


def _visible(gpus: list[Gpu], mask: str | None) -> tuple[Gpu, ...]:
    """What CUDA makes of CUDA_VISIBLE_DEVICES: entries are indices or starts of UUIDs; the first that fits nothing ends the list."""
    if mask is None:
        return tuple(gpus)
    chosen: list[Gpu] = []
    for entry in (part.strip() for part in mask.split(",")):
        if entry.startswith("MIG-"):  # an instance names no whole GPU here; CUDA uses it, and the lock is that of the first GPU with MIG
            matching = [gpu for gpu in gpus if gpu.mig]
        else:
            matching = [
                gpu for gpu in gpus if entry and (entry == str(gpu.index) or (entry.startswith("GPU-") and gpu.uuid.startswith(entry)))
            ]
        if not matching:
            break
        chosen.append(matching[0])
    return tuple(chosen)


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    missing: dict[str, str] = {}

    def ask(name: str, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except (nvml.NVMLError, AttributeError) as error:  # not supported by this GPU, or by an older driver
            missing[name] = str(error)
            return None

    memory = ask("memory", lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    sm_clock = ask("sm_clock_hz", lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))
    sm_clock_max = ask("sm_clock_max_hz", lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM))
    memory_clock = ask("memory_clock_hz", lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM))
    power_limit = ask("power_limit_w", lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle))
    reasons = ask("clock_limits", lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    processes = ask("other_processes", lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle))
    mig = ask("mig", lambda: _mig_mode(nvml, handle))
    return Gpu(
        index=index,
        name=nvml.nvmlDeviceGetName(handle),
        uuid=nvml.nvmlDeviceGetUUID(handle),
        memory_total_bytes=memory and memory.total,
        memory_free_bytes=memory and memory.free,
        mig=mig,
        sm_clock_hz=_mega(sm_clock),
        sm_clock_max_hz=_mega(sm_clock_max),
        memory_clock_hz=_mega(memory_clock),
        power_limit_w=None if power_limit is None else power_limit / 1000,
        clock_limits=None if reasons is None else tuple(word for bit, word in CLOCK_LIMITS.items() if reasons & bit),
        other_processes=None if processes is None else len(processes),
        missing=missing,
    )


def _mig_mode(nvml: Any, handle: Any) -> bool:
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except nvml.NVMLError_NotSupported:  # a GPU without the feature is a GPU without MIG
        return False


def _mega(value: int | None) -> int | None:
    return None if value is None else value * 1_000_000


# --- packages -----------------------------------------------------------------------------------------------------------------


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def torch_cuda_version() -> str | None:
    """The CUDA version that the installed torch was built with, None for a CPU build or no torch; read without importing torch."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    try:
        tree = ast.parse(Path(found.origin).with_name("version.py").read_text())
    except (OSError, SyntaxError):
        return None
    for node in tree.body:
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id == "cuda" and isinstance(node, ast.AnnAssign | ast.Assign):
            version = node.value.value if isinstance(node.value, ast.Constant) else None
            return version if isinstance(version, str) else None
    return None


# --- manifest -----------------------------------------------------------------------------------------------------------------


def manifest(
    *,
    run_id: str,
    workload: Workload,
    plan: Plan,
    preset: str,
    device: str,
    facts: DeviceFacts,
    created_at: float,
    started_at: float | None = None,
) -> dict[str, Any]:
    """The circumstances of a run as plain JSON values, when it is asked for and again when it starts; :func:`completed` adds its end.

    ``hardware`` names the device measured; ``commit`` is None with its reason outside a checkout. Times are seconds since 1970 UTC
    here, ISO 8601 in the manifest.
    """
    gpu = facts.gpus[0] if device_kind(device) == "cuda" else None
    commit, commit_reason = _commit()
    return {
        "schema_version": SCHEMA_VERSION,
        "lab_version": __version__,
        "run_id": run_id,
        "workload": workload.name,
        "preset": preset,
        "parameters": plan.to_json(),
        "seed": plan.values["seed"][0] if "seed" in plan.values else None,
        "protocols": [],
        "device": device,
        "hardware": gpu.name if gpu else facts.cpu.model,
        "gpu": gpu.name if gpu else None,
        "gpu_reason": "" if gpu else facts.no_gpu or "the run uses the CPU",
        "driver": facts.driver,
        "versions": {**facts.versions, "cuda": torch_cuda_version()},
        "machine": {name: value for name, value in dataclasses.asdict(facts).items() if name not in ("driver", "versions")},
        "clocks": {"start": _clocks(gpu), "end": None, "reason": "" if gpu else "no clock is read for a CPU run"},
        "threads": facts.cpu.threads,
        "commit": commit,
        "commit_reason": commit_reason,
        "data": [],
        "energy_method": ENERGY_NOT_MEASURED,
        "command": reproducing_command(workload.name, preset, plan.texts(), device),
        "created_at": _iso(created_at),
        "started_at": _iso(started_at),
        "ended_at": None,
        "status": "queued" if started_at is None else "running",
        "reason": "",
    }


def completed(
    manifest: Mapping[str, Any],
    *,
    worker_facts: Mapping[str, Any],
    data: Iterable[Mapping[str, Any]],
    protocols: Iterable[str],
    status: str,
    reason: str,
    ended_at: float,
) -> dict[str, Any]:
    """The manifest with what the worker told (its ``facts`` and ``data`` events), which protocols were measured and how the run ended."""
    gpu = None
    if device_kind(manifest["device"]) == "cuda":
        gpu = next((gpu for gpu in _look_for_gpus()[1] if gpu.uuid == manifest["machine"]["gpus"][0]["uuid"]), None)
    told = {name: value for name, value in worker_facts.items() if name not in manifest and name != "gpu"}  # the experiment's own entries
    return {
        **manifest,
        **told,
        "protocols": sorted(set(protocols)),
        "threads": worker_facts.get("threads", manifest["threads"]),
        "versions": {**manifest["versions"], **worker_facts.get("versions", {})},
        "gpu_properties": worker_facts.get("gpu"),
        "data": [dict(used) for used in data],
        "energy_method": worker_facts.get("energy_method", manifest.get("energy_method")),
        "clocks": {**manifest["clocks"], "end": _clocks(gpu)},
        "ended_at": _iso(ended_at),
        "status": status,
        "reason": reason,
    }


def reproducing_command(workload: str, preset: str, texts: Mapping[str, str], device: str) -> str:
    """The command line that repeats a run with every parameter spelled out."""
    words = ["python", "-m", "lab", "run", workload, *(["--preset", preset] if preset in PRESETS else [])]
    for name, text in texts.items():
        words += ["--set", f"{name}={text}"]
    return shlex.join([*words, "--device", device_kind(device)])


def _clocks(gpu: Gpu | None) -> dict[str, Any] | None:
    """SM and memory clock with what limits them now; None on a CPU run, where no clock is read."""
    if gpu is None:
        return None
    return {
        "sm_clock_hz": gpu.sm_clock_hz,
        "memory_clock_hz": gpu.memory_clock_hz,
        "limited_by": gpu.clock_limits,
        "missing": dict(gpu.missing),
    }


@functools.cache
def _commit() -> tuple[str | None, str]:
    """The commit of the checkout this code runs from, with "-dirty" for local changes; None with the reason outside one.

    Recorded runs are data: one that was recorded anew is no change of the code that records the next one.
    ``$EFFICIENCY_LAB_COMMIT`` says it for a copy that was taken to a machine without git.
    """
    told = os.environ.get(COMMIT_VARIABLE)
    if told:
        return told, ""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None, "not run from a git checkout"
    commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
    code = (".", f":(exclude,glob){RECORDED_FILES}")
    changes = _output("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no", "--", *code)
    if commit is None or changes is None:
        return None, "git cannot be asked"
    return f"{commit}-dirty" if changes else commit, ""


def _output(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, stdin=subprocess.DEVNULL).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
