"""What a workload declares to the lab, and how workloads are found.

A workload is a package ``workloads/<name>/`` whose ``spec`` module holds ``WORKLOAD: Workload``. Specs are light: the web server
imports them, so they import neither torch nor scipy nor sklearn. The experiment behind ``entry_point`` is imported by the
worker process only.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from lab.explore import Explore
from lab.parameters import ParameterError, Parameters, Plan
from lab.records import Chart, Estimate, Event, Measured, StoredRecord
from lab.statistics import LOOKS

if TYPE_CHECKING:
    from lab.claims import Claim

PRESETS = ("published", "quick", "thorough")
DeviceKind = Literal["cpu", "cuda"]
PLUGIN_VARIABLE = "EFFICIENCY_LAB_WORKLOADS"  # further packages that hold workloads, separated by os.pathsep


@dataclass(frozen=True)
class Metric:
    """A measured quantity: what readers call it, its SI unit, which way is better and how a technique is compared with a baseline.

    ``compare``: "ratio" (how many times better), "difference" (technique − baseline, for shares and losses) or "none". A metric that is
    better neither way is not compared. ``looks``: how often sampling of its repeats could have stopped on what was seen, for which
    intervals are widened (1: their number is fixed beforehand).
    """

    title: str
    unit: str
    better: Literal["lower", "higher", "neither"] = "lower"
    compare: Literal["ratio", "difference", "none"] = "ratio"
    looks: int = len(LOOKS)


@dataclass(frozen=True)
class MemoryNeed:
    """Peak bytes one cell needs on the device it measures and on the host, from the workload's cost formulas.

    ``parameter`` is what a refusal tells the reader to lower, where that is another one than the workload's ``memory_parameter``.
    """

    device_bytes: int
    host_bytes: int
    parameter: str = ""


@dataclass(frozen=True)
class Context:
    """What an experiment is told besides its parameters.

    ``device`` is "cpu" or "cuda:0"; ``cell`` of ``n_cells`` counts the sweep; ``preset`` is a preset's name or "custom".
    ``threads`` is how many CPU threads the worker has fixed torch and NumPy to. ``cache_dir`` outlives the run (compiled kernels,
    data sets). ``plan`` holds all cells, for what is measured in one of them only. ``energy_obstacle`` says what forbids measuring energy
    (``lab.energy_meter.obstacle``, asked before the worker had a CUDA context).
    """

    device: str
    cell: int
    n_cells: int
    preset: str
    threads: int
    cache_dir: str
    plan: Plan
    energy_obstacle: str = ""

    @property
    def device_kind(self) -> DeviceKind:
        return "cuda" if self.device.startswith("cuda") else "cpu"


Experiment = Callable[[Any, Context], Iterator[Event]]  # called once for each cell of the sweep


@dataclass(frozen=True)
class Workload:
    """One experiment of the lab; everything the pages, the command line and the export need to know of it.

    ``preset(name, device_kind)`` gives parameter values (a list sweeps). ``duration_s(plan, device_kind)`` estimates the measuring
    time without start-up and compilation. ``memory(cell, device_kind)`` is checked before launch; ``memory_parameter`` is the
    parameter a refusal tells the reader to lower. ``pairs(means)`` names which (technique, baseline) estimates of one cell are
    compared (default: each technique against each baseline of the same implementation). ``measure(claim, summary)`` finds in a
    summary what it says of a claim; ``charts(summary, records)`` are the live figures. ``deadline_s`` ends a run that hangs.
    ``instrument`` marks what measures the machine and the lab itself instead of a claim: it is no experiment, and nothing was published.
    ``explore`` lets readers evaluate stored records with settings of its own, without a new run.
    """

    name: str
    title: str
    question: str  # one sentence with the claim under test
    source: str
    parameters: type[Parameters]
    preset: Callable[[str, DeviceKind], Mapping[str, Any]]
    dimensions: tuple[str, ...]
    metrics: Mapping[str, Metric]
    entry_point: str  # "package.module:function" of type Experiment
    claims: tuple[str, ...]
    duration_s: Callable[[Plan, DeviceKind], float]
    memory: Callable[[Any, DeviceKind], MemoryNeed]
    memory_parameter: str
    measure: Callable[[Claim, Sequence[Estimate]], list[Measured]]
    charts: Callable[[Sequence[Estimate], Sequence[StoredRecord]], list[Chart]]
    pairs: Callable[[Sequence[Estimate]], list[tuple[Estimate, Estimate]]] | None = None
    notice: tuple[str, ...] = ()  # what to notice, shown under the verdicts
    method: str = ""  # markdown of the method tab
    deadline_s: float = 3600.0
    labels: Mapping[str, str] = field(default_factory=dict)  # arm or implementation name → what readers call it
    instrument: bool = False
    explore: Explore | None = None

    @property
    def presets(self) -> tuple[str, ...]:
        """The names of its presets."""
        return tuple(name for name in PRESETS if name != "published" or not self.instrument)

    def plan(self, preset: str = "quick", device_kind: DeviceKind = "cpu", texts: Mapping[str, str] | None = None) -> Plan:
        """The plan of a preset with some values replaced by texts. Raises ParameterError."""
        if preset not in self.presets:
            raise ParameterError("preset", preset, "one of " + ", ".join(self.presets))
        return Plan.parse(self.parameters, texts or {}, self.preset(preset, device_kind))


@cache
def _specs(packages: tuple[str, ...]) -> dict[str, str]:
    """The ``spec`` module of each workload by the name of its package; nothing of them is imported yet."""
    found: dict[str, str] = {}
    for package_name in packages:
        package = importlib.import_module(package_name)
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
            spec = f"{package_name}.{info.name}.spec"
            if info.ispkg and importlib.util.find_spec(spec) is not None:  # a package without a spec declares nothing
                found[info.name] = spec
    return found


def _known() -> dict[str, str]:
    extra = tuple(name for name in os.environ.get(PLUGIN_VARIABLE, "").split(os.pathsep) if name)
    return _specs(("workloads", *extra))


def workloads() -> dict[str, Workload]:
    """Every workload by name: those of the ``workloads`` package and of the packages in ``$EFFICIENCY_LAB_WORKLOADS``."""
    return {name: workload(name) for name in _known()}


def experiments() -> dict[str, Workload]:
    """The workloads that put a claim to the test, by name."""
    return {name: found for name, found in workloads().items() if not found.instrument}


def workload(name: str) -> Workload:
    """One workload by the name of its package. Raises ParameterError listing the names there are.

    The specs of others are not imported: a worker has to start quickly, however many there are.
    """
    known = _known()
    if name not in known:
        raise ParameterError("workload", name, "one of " + ", ".join(known), "is unknown")
    found: Workload = importlib.import_module(known[name]).WORKLOAD
    if found.name != name:
        raise ValueError(f"the workload in {known[name]} is called {found.name!r}: it must be called as its package")
    return found
