"""Whether a measurement of one run may be set against the same measurement of another, and why not.

A measurement rests on what it would change with:

- a *physical* quantity (seconds, joules, watts, rates) on the machine, its driver and libraries, the lab's code and how long a segment is;
  on data where the measurement itself names them;
- a *learned* one (a loss, an accuracy, a share) on libraries, the lab's code and the data, but on no clock: the model of GPU or CPU does
  not matter to it, only whether a GPU or a CPU drew the random numbers;
- a count or an exact value on nothing: it is equal or it is not.

Where that differs, the two values stand side by side and no ratio is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.environment import device_kind
from lab.records import RunView
from lab.run_differences import UNKNOWN, data_sets, mapping, measured_gpu

SOFTWARE = ("torch", "numpy", "python")  # versions that every measurement rests on
GPU_SOFTWARE = ("cuda", "triton")
CPU_IDENTITY = ("model", "architecture", "cores", "logical_cores", "l2_cache_bytes", "l3_cache_bytes")
GPU_IDENTITY = ("name", "memory_total_bytes", "sm_clock_max_hz", "power_limit_w", "mig")
TIMING_PARAMETER, ENERGY_PARAMETER = "segment_s", "energy"  # how a second and a joule are taken
CACHE_DIMENSION = "cache"
_NAMES = {"torch": "torch", "numpy": "NumPy", "python": "Python", "cuda": "CUDA", "triton": "Triton"}


def is_physical(unit: str) -> bool:
    """Whether a unit says that the machine was measured, not what ran on it."""
    return unit in ("s", "J", "W", "Hz") or unit.endswith("/s")


@dataclass(frozen=True)
class Obstacles:
    """Why two runs cannot be set against each other, each reason in words: by what a measurement rests on.

    ``cpu`` and ``gpu`` hold for physical quantities measured there, ``software`` for all, ``time`` and ``energy`` for how they are taken,
    ``data`` maps each data set that differs to the reason.
    """

    software: tuple[str, ...]
    cpu: tuple[str, ...]
    gpu: tuple[str, ...]
    time: str
    energy: str
    data: Mapping[str, str]

    def physical(self, kind: str, unit: str) -> tuple[str, ...]:
        """Reasons against a physical quantity measured on ``kind`` ("cpu" or "cuda") in ``unit``."""
        taken = self.energy if unit in ("J", "W") else self.time
        return (*(self.gpu if kind == "cuda" else ()), *self.cpu, *self.software, *((taken,) if taken else ()))

    def learned(self, data: str) -> tuple[str, ...]:
        """Reasons against a learned quantity. ``data`` names the data set where the measurement says it, else all of the runs' count."""
        return (*self.software, *(self.named(data) if data else tuple(self.data.values())))

    def named(self, data: str) -> tuple[str, ...]:
        """Reasons against a measurement on the data set that ``data`` names, () where it is none of the runs' that differ."""
        return tuple(reason for name, reason in self.data.items() if data == name or data.startswith((f"{name} ", f"{name},")))


def obstacles(first: RunView, second: RunView) -> Obstacles:
    """What stands between two runs of one workload."""
    a, b = first.manifest, second.manifest
    cpus = [mapping(mapping(manifest.get("machine")).get("cpu")) for manifest in (a, b)]
    gpus = [measured_gpu(manifest) for manifest in (a, b)]
    versions = [mapping(manifest.get("versions")) for manifest in (a, b)]
    cpu = list(_different("CPU", "model", *cpus) or _any_different("CPU (cores or caches)", CPU_IDENTITY[1:], *cpus))
    cpu += _different("number of CPU threads", "threads", a, b)
    gpu = list(_different("GPU", "name", *gpus) or _any_different("GPU (memory, clocks, power limit or MIG)", GPU_IDENTITY[1:], *gpus))
    gpu += _different("driver", "driver", a, b)
    gpu += [reason for name in GPU_SOFTWARE for reason in _different(f"version of {_NAMES[name]}", name, *versions)]
    software = [reason for name in SOFTWARE for reason in _different(f"version of {_NAMES[name]}", name, *versions)]
    software += _code(a, b)
    return Obstacles(
        software=tuple(software),
        cpu=tuple(cpu),
        gpu=tuple(gpu),
        time=_setting(first, second, TIMING_PARAMETER, "least duration of a timed segment"),
        energy=_setting(first, second, ENERGY_PARAMETER, "way of measuring energy"),
        data=_data(a, b),
    )


def caveats(first: RunView, second: RunView) -> tuple[str, ...]:
    """What forbids no comparison of two runs but should be known, each in words."""
    found = []
    cards = [measured_gpu(view.manifest).get("uuid") for view in (first, second)]
    if cards[0] != cards[1] and all(cards):
        found.append("measured on two GPUs of the same model, which differ somewhat from each other")
    commits = [str(view.manifest.get("commit") or "") for view in (first, second)]
    if commits[0] == commits[1] and commits[0].endswith("-dirty"):
        found.append("the lab's code had local changes that no commit names: it may not be the same")
    if not any(commits):
        found.append("neither run knows its commit: the lab's code is taken to be the same by its version")
    return tuple(found)


def device_obstacle(first_kind: str, second_kind: str) -> str:
    """Why measurements on these kinds of device cannot be set against each other, "" when they can."""
    if first_kind == second_kind:
        return ""
    return f"different device kind ({_kind(first_kind)}, {_kind(second_kind)})"


def kind_of(device: str) -> str:
    """The kind of an estimate's device: "cpu", "cuda", or "" where it was measured on none (a count)."""
    return device_kind(device) if device else ""


def _kind(kind: str) -> str:
    return {"cpu": "CPU", "cuda": "GPU"}.get(kind, "no device")


def _different(what: str, name: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """One reason where ``name`` differs; two runs that both have nothing under it agree (a package that neither has)."""
    a, b = first.get(name), second.get(name)
    return [] if a == b else [f"different {what} ({_shown(a)}, {_shown(b)})"]


def _any_different(what: str, names: Iterable[str], first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return [f"different {what}"] if any(first.get(name) != second.get(name) for name in names) else []


def _code(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """The lab's own code by commit; by version where neither run knows its commit."""
    if a.get("schema_version") != b.get("schema_version"):
        return [f"different format of the run ({_shown(a.get('schema_version'))}, {_shown(b.get('schema_version'))})"]
    if a.get("commit") or b.get("commit"):
        if a.get("commit") == b.get("commit"):
            return []
        return [f"different lab commit ({_shown(a.get('commit'))[:12]}, {_shown(b.get('commit'))[:12]})"]
    return _different("lab version", "lab_version", a, b)


def _setting(first: RunView, second: RunView, name: str, what: str) -> str:
    a, b = (view.plan.texts().get(name) for view in (first, second))
    return "" if a == b else f"different {what} ({_shown(a)}, {_shown(b)})"


def _data(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, str]:
    first, second = data_sets(a), data_sets(b)
    found = {}
    for name in dict.fromkeys((*first, *second)):
        if first.get(name) != second.get(name):
            why = "SHA-256" if name in first and name in second else "used by one run only"
            found[name] = f"different data ({name}: {why})"
        elif not first[name]:
            found[name] = f"data that cannot be told apart ({name}: SHA-256 not recorded)"
    return found


def _shown(value: Any) -> str:
    return UNKNOWN if value is None or value == "" else str(value)
