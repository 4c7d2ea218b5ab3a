"""What the calibration declares to the lab. Imported by the web server, so nothing here imports torch."""

from __future__ import annotations

from collections.abc import Sequence

from lab import calibration as names
from lab.claims import Claim
from lab.records import Estimate, Measured
from lab.workload import Metric, Workload
from workloads.calibration.charts import charts
from workloads.calibration.costs import duration_s, memory
from workloads.calibration.parameters import BLOCK_CALLS, CalibrationParameters, preset

METHOD = f"""
**Copy bandwidth** counts the bytes read and the bytes written of a copy between two buffers far larger than the cache.
It is the limit of every kernel that reads its input once and writes its output once. (A CPU may also read what it is about to overwrite;
that traffic is not counted.)

**Matrix rate** is 2 · rows · columns · inner dimension / time of a product of random matrices (bf16 on a GPU, fp32 on a CPU), *burst* over
the first 50 ms after a pause, *sustained* over the second half of a longer stretch: clocks fall as the power limit is reached.

**Launch overhead** is the time per call of a kernel that adds 1 to one number, back to back: launched one by one, and inside a
replayed CUDA graph.

**An arm against itself** is compared as experiments compare arms (mirrored passes, log ratios, the same intervals and looks). The
truth is a ratio of 1: how many estimates come within the practical margin of it, and how many 95 % intervals exclude it?

**A known effect** is exact by construction: the plain arm calls one kernel {BLOCK_CALLS} times, the slower arm calls the same
kernel 101, 105 or 120 times on the same rotating inputs, so its speed is 100/101, 100/105 or 100/120 of the plain one's. The verdict
is right when it names the region in which that ratio lies. An effect as large as the practical margin itself (1 % on a GPU, 5 % on a
CPU) lies on the border between “no difference” and “slower”: there the right verdict is “inconclusive”.

**An independent timer** times the same kernels in the same mirrored passes: `triton.testing.do_bench` (which clears the L2 cache
before each call) on a GPU, `torch.utils.benchmark` on a CPU. The ratio is its time / the lab's.
"""


def measure(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """Nothing: a calibration tests no claim."""
    return []


def pairs(means: Sequence[Estimate]) -> list[tuple[Estimate, Estimate]]:
    """The lab's timer against the independent one, kernel by kernel."""
    timed = [mean for mean in means if mean.metric == names.LATENCY and mean.mean is not None]
    return [
        (ours, other) for ours in timed for other in timed if ours.implementation == "lab" != other.implementation and ours.arm == other.arm
    ]


WORKLOAD = Workload(
    name=names.WORKLOAD,
    title="Calibration",
    question="What can this machine do at most, and how far can the lab's own figures be trusted?",
    source="Efficiency Lab",
    parameters=CalibrationParameters,
    preset=preset,
    dimensions=("condition", "size", "timer", "injected_percent"),
    metrics={
        names.COPY_RATE: Metric("Copy bandwidth, read + write", "B/s", "higher", compare="none", looks=1),
        names.MATRIX_RATE: Metric("Matrix rate", "FLOP/s", "higher", compare="none", looks=1),
        names.LAUNCH: Metric("Time per launch", "s", compare="none", looks=1),
        names.TICK: Metric("Time between two changes of the energy counter", "s", "neither", compare="none"),
        names.IDLE_POWER: Metric("Idle power", "W", compare="none"),
        names.LATENCY: Metric("Time per call", "s", looks=1),
        names.RATIO: Metric("Speed ratio of one comparison", "x", "neither", compare="none", looks=1),
        names.RATIO_LOW: Metric("Lower end of its 95 % interval", "x", "neither", compare="none", looks=1),
        names.RATIO_HIGH: Metric("Upper end of its 95 % interval", "x", "neither", compare="none", looks=1),
        names.RATIO_ERROR: Metric("Estimate / true ratio − 1", "1", "neither", compare="none", looks=1),
        names.COMPARISONS: Metric("Comparisons made", "1", "neither", compare="none"),
        names.WITHIN_MARGIN: Metric("Estimates within the margin of the truth", "1", "neither", compare="none"),
        names.DIFFERENCE_SEEN: Metric("95 % intervals that exclude 1", "1", "neither", compare="none"),
        names.TRUTH_MISSED: Metric("95 % intervals that exclude the truth", "1", "neither", compare="none"),
        names.RIGHT: Metric("Right verdicts", "1", "neither", compare="none"),
    },
    entry_point="workloads.calibration.experiment:run",
    claims=(),
    duration_s=duration_s,
    memory=memory,
    memory_parameter="copy_bytes",
    measure=measure,
    charts=charts,
    pairs=pairs,
    notice=(
        "A limit is what a simple program reached here, not what a data sheet says: a much faster program is ruled out, a slightly faster "
        "one is not.",
        "An arm against itself must come out even: what it does not is the lab's own error, and no smaller effect can be believed.",
        "An interval at 95 % may miss the truth in 5 of 100 comparisons; with three looks at the data the lab's are somewhat wider.",
    ),
    method=METHOD,
    deadline_s=7200.0,
    labels={"gelu": "GELU", "lab": "the lab's timer", "do_bench": "triton.testing.do_bench", "torch_benchmark": "torch.utils.benchmark"},
    instrument=True,
)
