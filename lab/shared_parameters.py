"""Parameters that many workloads have, declared once: how to sample, whether to measure energy, the seed. Light.

Each function makes one field for a workload's model, which decides where it stands, what its default is and ``when`` it matters::

    class MyParameters(Parameters):
        segment_s: float = shared_parameters.segment_s(0.1)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from lab.parameters import Condition, parameter

EnergyEffort = Literal["none", "standard", "thorough"]
DataType = Literal["float32", "bfloat16", "float16"]

ITEM_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
DTYPE_LABELS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
When = Condition | Sequence[Condition]  # see lab.parameters.parameter


def segment_s(default: float, step: float = 0.01, when: When = ()) -> Any:
    """Least duration [s] of one timed segment."""
    return parameter(
        default,
        title="Segment",
        help="Back-to-back calls that make one timed segment last at least this long.",
        unit="s",
        ge=0.001,
        le=2.0,
        step=step,
        when=when,
    )


def looks(default: int, when: When = ()) -> Any:
    """How often sampling may stop early: 1 to 3 looks at 10, 20, 40 observations."""
    return parameter(
        default,
        title="Looks",
        help="Sampling may stop at 10, 20 or 40 observations, when the precision is reached: 1, 2 or 3 of these looks.",
        ge=1,
        le=3,
        step=1,
        when=when,
    )


def precision(default: float, least: float = 0.001, when: When = ()) -> Any:
    """Half-width of the 95 % interval of each log ratio that ends sampling."""
    return parameter(
        default,
        title="Precision wanted",
        help="Half-width of the 95 % interval of each log ratio that ends sampling. It decides nothing else.",
        ge=least,
        le=0.5,
        step=0.001,
        when=when,
    )


def energy(help: str, when: When = ()) -> Any:
    """Whether joules are measured, and how long; ``help`` says of which cell and arms."""
    return parameter(
        "none",
        title="Energy",
        help=help,
        labels={"none": "Not measured", "standard": "Standard", "thorough": "Thorough"},
        when=when,
    )


def seed(help: str = "Of the random inputs.") -> Any:
    """Seed of everything random in a run."""
    return parameter(0, title="Seed", help=help, ge=0, le=2**31 - 1, step=1)
