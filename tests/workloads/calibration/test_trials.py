"""Comparisons whose truth is known, on a clock that only the kernels move: what is measured follows from arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.records import Record
from lab.timing import Arm, LatencySampler, Sampling
from tests.lab.fake_clock import FakeClock
from workloads.calibration import trials
from workloads.calibration.parameters import BLOCK_CALLS

SAMPLING = Sampling(segment_s=1.0, precision=0.002, looks=(10,), warmup_s=0.0, warmup_calls=1)


class Kernel:
    """A kernel that takes ``cost_s(i)`` seconds of the clock and remembers its inputs."""

    def __init__(self, clock: FakeClock, cost_s: Callable[[int], float]) -> None:
        self.inputs: list[int] = []
        self._clock, self._cost_s = clock, cost_s

    def __call__(self, i: int) -> None:
        self.inputs.append(i)
        self._clock.advance(self._cost_s(i))


def compared(
    percent: int, cost_s: Callable[[int], float], count: int = 3, device: str = "cpu", extra: int | None = None
) -> dict[str, list[Record]]:
    """Records by metric of ``count`` comparisons said to be of ``percent`` more work; ``extra``: what it really is."""
    clock = FakeClock()
    kernel = Kernel(clock, cost_s)
    plain = Arm("plain", "eager", "baseline", device, "float32", trials.block(kernel, BLOCK_CALLS))
    slower = Arm(
        "slower", "eager", "technique", device, "float32", trials.block(kernel, BLOCK_CALLS + (percent if extra is None else extra))
    )
    found: dict[str, list[Record]] = {}
    for event in trials._trials(count, (slower, plain), percent, LatencySampler(lambda: None, clock), SAMPLING):
        if isinstance(event, Record):
            found.setdefault(event.metric, []).append(event)
    return found


def test_a_block_goes_on_through_the_rotation() -> None:
    kernel = Kernel(FakeClock(), lambda i: 1.0)
    run = trials.block(kernel, 3)
    run(0)
    run(1)
    assert kernel.inputs == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("percent", "ratio"), [(0, 1.0), (1, 100 / 101), (5, 100 / 105), (20, 100 / 120)])
def test_equal_calls_give_the_true_ratio_exactly(percent: int, ratio: float) -> None:
    found = compared(percent, lambda i: 0.01)  # every kernel call takes 10 ms, whatever its input
    assert [record.value for record in found["speed_ratio"]] == pytest.approx([ratio] * 3, rel=1e-9)
    assert [record.value for record in found["ratio_error"]] == pytest.approx([0.0] * 3, abs=1e-9)
    assert [record.repeat for record in found["speed_ratio"]] == [0, 1, 2]
    assert {record.dimensions["injected_percent"] for records in found.values() for record in records} == {percent}


def test_counts_of_an_arm_against_itself() -> None:
    found = compared(0, lambda i: 0.01 * (1 + (i * 2654435761 % 97) / 1e6))  # each call up to 0.01 % longer, by its input
    counts = {metric: found[metric][0].value for metric in ("comparisons", "within_margin", "right_verdicts")}
    assert counts == {"comparisons": 3, "within_margin": 3, "right_verdicts": 3}  # "no difference" at a margin of 5 %
    assert all(len(found[metric]) == 1 and found[metric][0].repeat is None for metric in counts)


def test_counts_of_an_effect_that_is_seen() -> None:
    found = compared(20, lambda i: 0.01 * (1 + (i * 2654435761 % 97) / 1e6))
    assert found["difference_seen"][0].value == 3
    assert found["right_verdicts"][0].value == 3  # "slower": 20 % is beyond 5 %


def test_an_estimate_that_is_off_counts_as_off() -> None:
    """10 % more work where 5 % are said: estimate / truth − 1 = (100/110) / (100/105) − 1 = −1/22, which is beyond 1 %."""
    found = compared(5, lambda i: 0.01 * (1 + (i * 2654435761 % 97) / 1e6), device="cuda:0", extra=10)
    assert [record.value for record in found["ratio_error"]] == pytest.approx([-1 / 22] * 3, rel=1e-3)
    counts = {metric: found[metric][0].value for metric in ("within_margin", "truth_missed", "difference_seen", "right_verdicts")}
    assert counts == {"within_margin": 0, "truth_missed": 3, "difference_seen": 3, "right_verdicts": 3}  # "slower" is right all the same


def test_an_arm_that_fails_gives_the_reason() -> None:
    def broken(i: int) -> float:
        raise RuntimeError("no such kernel")

    found = compared(5, broken)
    assert list(found) == ["speed_ratio"]
    assert found["speed_ratio"][0].value is None
    assert found["speed_ratio"][0].reason == "RuntimeError: no such kernel"


def test_the_lab_and_an_independent_timer_agree_on_what_a_call_does() -> None:
    """Both run the same calls: the inputs go on, and the independent timer reports seconds per call times calls."""
    inputs: list[int] = []
    arm = Arm("gelu", "torch_benchmark", "baseline", "cpu", "float32", inputs.append)
    timed = trials.TimerSampler("cpu", 0.02).time(arm, 7, 5)
    assert timed.calls == 5
    assert timed.seconds > 0
    assert inputs[0] == 7
    assert inputs == list(range(7, 7 + len(inputs)))
