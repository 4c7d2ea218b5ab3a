"""The demo workload: ``repeats`` paired observations for each ``n``, then a chosen ending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lab.parameters import Parameters as BaseParameters
from lab.parameters import Plan, parameter
from lab.records import Chart, Estimate, Measured, Series, StoredRecord
from lab.workload import DeviceKind, MemoryNeed, Metric, Workload

Ending = Literal[
    "finish",
    "hang",
    "hang_ignoring_sigterm",
    "hang_with_child",
    "crash",
    "kill_itself",
    "leave_silently",
    "memory_error",
    "out_of_memory",
    "cuda_out_of_memory",
    "invalid_value",
    "error",
    "fill_disk",
    "not_finite",
    "not_an_event",
]


class Parameters(BaseParameters):
    n: int = parameter(
        1024, title="N", help="Elements; only the memory estimate reads it.", ge=1, le=2**50, scale="log2", group="main", sweep=True
    )
    repeats: int = parameter(3, title="Repeats", help="Observations before the ending.", ge=0, le=100_000, group="main")
    interval_s: float = parameter(0.0, title="Interval", help="Pause after each observation.", unit="s", ge=0, le=10)
    ending: Ending = parameter("finish", title="Ending", help="What happens after the last observation.")
    chatter: bool = parameter(False, title="Chatter", help="Print to stdout and stderr, as libraries do.")
    seed: int = parameter(0, title="Seed", help="Shifts the recorded values.", ge=0, le=2**31 - 1)


def preset(name: str, device_kind: DeviceKind) -> Mapping[str, Any]:
    return {"published": {"repeats": 1}, "quick": {}, "thorough": {"repeats": 10, "n": [1024, 4096]}}[name]


def memory(cell: Parameters, device_kind: DeviceKind) -> MemoryNeed:
    return MemoryNeed(device_bytes=8 * cell.n, host_bytes=0)


def duration_s(plan: Plan, device_kind: DeviceKind) -> float:
    cell = plan.cells[0]
    return len(plan.cells) * cell.repeats * cell.interval_s


def measure(claim: object, summary: Sequence[Estimate]) -> list[Measured]:
    return []


def charts(summary: Sequence[Estimate], records: Sequence[StoredRecord]) -> list[Chart]:
    lines = []
    for arm, emphasis in (("new", "technique"), ("old", "baseline")):
        points = [(item.record.repeat or 0, item.record.value) for item in records if item.record.arm == arm]
        lines.append(Series(arm, tuple(x for x, _ in points), tuple(y for _, y in points), emphasis=emphasis))
    return [
        Chart(
            key="latency",
            title="Latency of each observation",
            kind="line",
            x_title="repeat",
            y_title="latency",
            y_unit="s",
            series=tuple(lines),
            alt=f"Latency of new and old over {len(records) // 2} observations.",
        )
    ]


WORKLOAD = Workload(
    name="demo",
    title="Demo",
    question="Does every ending of a run keep its records?",
    source="this test suite",
    parameters=Parameters,
    preset=preset,
    dimensions=("step",),
    metrics={"latency_s": Metric("Latency", "s", "lower")},
    entry_point="tests.demo_workloads.demo.experiment:run",
    claims=(),
    duration_s=duration_s,
    memory=memory,
    memory_parameter="n",
    measure=measure,
    charts=charts,
    notice=("The new arm takes half the time of the old one, by construction.",),
    method="Values are computed from `n`, `seed` and the repeat; nothing is timed.",
    deadline_s=120.0,
)
