"""Runs made by hand for tests of comparisons: a workload with times, joules and accuracies, and a manifest like a real one's."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from lab.comparison import ComparedRun
from lab.parameters import Parameters as BaseParameters
from lab.parameters import Plan, parameter
from lab.records import Record, RunView, StoredRecord
from lab.summary import summarise
from lab.verdicts import Verdict
from lab.workload import Metric, Workload
from tests.demo_workloads.demo.spec import WORKLOAD as DEMO


class Parameters(BaseParameters):
    n: int = parameter(1024, title="N", help="Elements.", ge=1, le=2**30, sweep=True)
    k: int = parameter(32, title="Clusters", help="Clusters.", ge=1, le=1024, sweep=True)
    segment_s: float = parameter(0.1, title="Segment", help="Of timing.", unit="s", ge=0.001, le=2.0)
    seed: int = parameter(0, title="Seed", help="Of inputs.", ge=0, le=100)


COMPARED: Workload = replace(
    DEMO,
    name="compared",
    title="Compared",
    parameters=Parameters,
    dimensions=("clusters", "cache", "data"),
    metrics={
        "latency_s": Metric("Time per call", "s"),
        "energy_j": Metric("Joules per call", "J"),
        "accuracy": Metric("Accuracy", "%", "higher", "difference", looks=1),
        "gain": Metric("Gain", "points", "higher", "none"),
        "gain_low": Metric("Gain, lower end", "points", "higher", "none"),
        "gain_high": Metric("Gain, upper end", "points", "higher", "none"),
        "parameters": Metric("Parameters", "1", "lower", "none"),
        "power_w": Metric("Power", "W", "neither", "none"),
    },
)

MANIFEST: Mapping[str, Any] = {
    "schema_version": 1,
    "lab_version": "0.1.0",
    "preset": "quick",
    "device": "cpu",
    "hardware": "Processor P",
    "gpu": None,
    "driver": None,
    "threads": 2,
    "commit": "c" * 40,
    "commit_reason": "",
    "versions": {"torch": "2.13.0", "numpy": "2.4.6", "python": "3.11.7", "triton": None, "cuda": None},
    "machine": {
        "cpu": {"model": "Processor P", "architecture": "x86_64", "cores": 2, "logical_cores": 2, "l2_cache_bytes": 1, "l3_cache_bytes": 2},
        "gpus": [],
        "memory": {"total_bytes": 8_000_000_000},
        "system": "Linux 6",
    },
    "clocks": {"start": None, "end": None},
    "data": [],
    "energy_method": "not measured",
    "started_at": "2026-01-31T17:45:02Z",
    "status": "finished",
    "reason": "",
}
GPU: Mapping[str, Any] = {
    "device": "cuda:0",
    "hardware": "GPU G",
    "gpu": "GPU G",
    "driver": "580",
    "machine": {
        **MANIFEST["machine"],
        "gpus": [{"name": "GPU G", "uuid": "GPU-1", "memory_total_bytes": 1, "sm_clock_max_hz": 1, "power_limit_w": 700.0, "mig": False}],
    },
}
DIGITS = [{"name": "digits", "label": "digits (SHA-256 aaaa…)", "sha256": "a" * 64}]

ArmValues = Mapping[tuple[str, str], Sequence[float]]
BASELINES = frozenset({"old", "older", "oldest"})


def times(values: ArmValues, *, cell: int = 0, device: str = "cpu", metric: str = "latency_s", unit: str = "s", **dimensions: Any) -> list:
    """Repeated values of each (arm, implementation); "old", "older" and "oldest" are baselines."""
    found = []
    for (arm, implementation), several in values.items():
        role: Literal["technique", "baseline"] = "baseline" if arm in BASELINES else "technique"
        for repeat, value in enumerate(several):
            record = Record("sound", arm, role, implementation, device, "float32", metric, value, unit, repeat, dimensions=dimensions)
            found.append((cell, record))
    return found


def seeds(arm: str, values: Sequence[float], *, cell: int = 0, device: str = "cpu", **dimensions: Any) -> list:
    """An accuracy of one arm over seeds."""
    role: Literal["technique", "baseline"] = "baseline" if arm in BASELINES else "technique"
    return [
        (cell, Record("sound", arm, role, "batched", device, "float32", "accuracy", value, "%", None, seed, dimensions=dimensions))
        for seed, value in enumerate(values)
    ]


def exact(metric: str, value: float, unit: str = "1", *, cell: int = 0, device: str = "") -> list:
    """One value without a repeat or a seed."""
    return [(cell, Record("sound", "new", "technique", "count", device, "", metric, value, unit))]


def around(middle: float, spread: float = 0.01, n: int = 10) -> list[float]:
    """``n`` values whose logs alternate by ± ``spread`` around that of ``middle``."""
    return [middle * (1 + spread if i % 2 else 1 / (1 + spread)) for i in range(n)]


def run(
    reference: str,
    records: Sequence[tuple[int, Record]],
    parameters: Mapping[str, Any] | None = None,
    verdicts: Sequence[Verdict] = (),
    status: str = "finished",
    workload: Workload = COMPARED,
    **manifest: Any,
) -> ComparedRun:
    """A run with these records; what ``manifest`` names replaces that part of the manifest."""
    plan = Plan.of(workload.parameters, parameters or {})
    stored = [StoredRecord(seq, cell, record) for seq, (cell, record) in enumerate(records)]
    told = {**copy.deepcopy(dict(MANIFEST)), **manifest}
    view = RunView(reference, workload, plan, told, stored, status)
    return ComparedRun(reference, view, summarise(workload, plan, stored), verdicts)
