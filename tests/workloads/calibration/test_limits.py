"""Shapes, costs and the records of the physical limits on a CPU."""

from __future__ import annotations

import pytest

from lab.energy_meter import NO_COUNTER_ON_CPU
from lab.records import Record
from lab.timing import NO_DEVICE_TIMER, Sampling
from lab.workload import workload
from workloads.calibration import idle, limits
from workloads.calibration.costs import duration_s, flop, shapes, stages
from workloads.calibration.parameters import CalibrationParameters

SMALL = CalibrationParameters(copy_bytes=1 << 20, matrix_n=64, matrix_repeats=2, sustained_s=0.01)
SAMPLING = Sampling(segment_s=0.001, looks=(10,), warmup_s=0.0)


def records(events: limits.Events) -> list[Record]:
    return [event for event in events if isinstance(event, Record)]


def test_operations_of_a_product() -> None:
    assert flop((2, 3, 5)) == 60  # 6 results, 5 multiplications and 5 additions each
    assert flop((8192, 8192, 8192)) == 2 * 8192**3


def test_shapes_hold_the_cube_asked_for() -> None:
    assert shapes(8192)[0] == (8192, 8192, 8192)
    assert len(set(shapes(64))) == 4
    assert all(min(shape) >= 1 for shape in shapes(1))


def test_copy_bandwidth_has_one_record_for_each_observation() -> None:
    found = records(limits.copy_bandwidth(SMALL, "cpu", SAMPLING))
    assert [record.repeat for record in found] == list(range(10))
    assert {(record.metric, record.unit) for record in found} == {("copy_bytes_per_s", "B/s")}
    assert all(record.value is not None and record.value > 0 for record in found)


def test_each_shape_is_measured_in_a_burst_and_sustained() -> None:
    found = records(limits.matrix_rate(SMALL, "cpu"))
    assert len(found) == 4 * 2 * 2  # shapes, repeats, windows
    assert {record.dimensions["condition"] for record in found} == {"burst", "sustained"}
    assert {record.dtype for record in found} == {"float32"}
    assert {record.dimensions["size"] for record in found} == {"64 × 64 × 64", "32 × 32 × 32", "128 × 64 × 32", "32 × 32 × 128"}


def test_a_launch_on_a_cpu_has_no_graph() -> None:
    found = records(limits.launch_overhead(SMALL, "cpu", SAMPLING))
    assert [record.implementation for record in found] == ["eager"] * 10 + ["graph"]
    assert (found[-1].value, found[-1].reason) == (None, NO_DEVICE_TIMER)


def test_a_cpu_has_no_energy_counter_and_says_so() -> None:
    found = records(idle.idle_power(SMALL, "cpu", NO_COUNTER_ON_CPU))
    assert [(record.metric, record.dimensions["condition"]) for record in found] == [
        ("energy_tick_s", ""),
        ("idle_power_w", "without context"),
        ("idle_power_w", "with context"),
    ]
    assert all((record.value, record.reason) == (None, NO_COUNTER_ON_CPU) for record in found)


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_the_estimate_is_the_sum_of_its_stages(kind: str) -> None:
    plan = workload("calibration").plan("quick", kind)  # type: ignore[arg-type]
    assert duration_s(plan, kind) == pytest.approx(sum(stages(plan.cells[0], kind).values()))  # type: ignore[arg-type]
