"""Parameters of the activation experiment and its presets. Light: the web server imports this."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any, Literal, Self

import pydantic

from lab.parameters import ParameterError, Parameters, parameter
from lab.workload import DeviceKind
from workloads.activations.functions import FUNCTIONS

FunctionName = Literal["gelu_erf", "gelu_tanh", "silu", "relu", "phi6", "zeta_ln2", "phi3", "phi4", "phi8", "phi12", "copy"]
Implementation = Literal["numpy", "eager", "compiled", "fused"]
DataType = Literal["float32", "bfloat16", "float16"]
Mode = Literal["forward", "forward_backward"]

GELUS = ("gelu_erf", "gelu_tanh")  # the comparator of every claim; the claims do not say which form
COPY = "copy"  # moves the same bytes and computes nothing: the physical limit of an elementwise function
PUBLISHED_N = 1_000_000  # elements of the published NumPy benchmark


class ActivationParameters(Parameters):
    """Parameters of the activation experiment; see each field's help."""

    n: int = parameter(
        1 << 22,
        title="N",
        help="Elements of the tensor. Small tensors measure launch overhead, large ones memory bandwidth: sweep to see where it turns.",
        unit="elements",
        ge=1 << 10,
        le=1 << 28,
        scale="log2",
        group="main",
        sweep=True,
    )
    dtype: DataType = parameter(
        "float32",
        title="Data type",
        help="Halving the bytes halves the time of a function that is limited by memory.",
        labels={"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"},
        group="main",
        sweep=True,
    )
    mode: Mode = parameter(
        "forward",
        title="Mode",
        help="Forward alone (inference), or forward and backward (training). The published benchmark then times the derivative apart.",
        labels={"forward": "Forward", "forward_backward": "Forward + backward"},
        group="main",
    )
    functions: tuple[FunctionName, ...] = parameter(
        ("gelu_erf", "gelu_tanh", "phi6", "zeta_ln2", "copy"),
        title="Functions",
        help="What is measured. One GELU at least is the baseline; 'copy' moves the same bytes and is the physical limit.",
        labels={name: function.title for name, function in FUNCTIONS.items()},
        group="main",
    )
    implementations: tuple[Implementation, ...] = parameter(
        ("numpy", "eager", "compiled", "fused"),
        title="Implementations",
        help="NumPy is the published benchmark and always runs at its own N of 1,000,000 in fp32; the others run at the N chosen.",
        labels={"numpy": "NumPy (published)", "eager": "Eager", "compiled": "Compiled", "fused": "Fused"},
    )
    segment_s: float = parameter(
        0.1,
        title="Segment",
        help="Back-to-back calls that make one timed segment last at least this long.",
        unit="s",
        ge=0.001,
        le=2.0,
        step=0.01,
    )
    looks: int = parameter(
        3,
        title="Looks",
        help="Sampling may stop at 10, 20 or 40 observations, when the precision is reached: 1, 2 or 3 of these looks.",
        ge=1,
        le=3,
        step=1,
    )
    precision: float = parameter(
        0.01,
        title="Precision wanted",
        help="Half-width of the 95 % interval of each log ratio that ends sampling. It decides nothing else.",
        ge=0.001,
        le=0.5,
        step=0.001,
    )
    seed: int = parameter(0, title="Seed", help="Of the random inputs.", ge=0, le=2**31 - 1, step=1)

    @pydantic.model_validator(mode="after")
    def _has_a_baseline(self) -> Self:
        if not set(self.functions) & set(GELUS):
            raise ParameterError("functions", ",".join(self.functions), "gelu_erf or gelu_tanh among them", "has no baseline")
        if not set(self.functions) - {*GELUS, COPY}:
            raise ParameterError("functions", ",".join(self.functions), "a function besides GELU and copy", "has nothing to compare")
        return self


def preset(name: str, device_kind: DeviceKind) -> Mapping[str, Any]:
    """Parameter values of a preset (a list sweeps). ``quick`` keeps to 30 s on two CPU cores and 15 s on a GPU."""
    if name == "published":
        return {
            "n": PUBLISHED_N,
            "functions": ("gelu_erf", "gelu_tanh", "silu", "relu", "phi6", "zeta_ln2"),
            "implementations": ("numpy", "eager"),
            "looks": 2,
        }
    if name == "quick":
        quick = {"segment_s": 0.02, "looks": 1}
        if device_kind == "cuda":  # the fused kernels are the compiled ones' equals; leaving these out keeps the time budget
            functions = ("gelu_erf", "phi6", "zeta_ln2", "copy")  # of the two GELUs the framework's default
            return {**quick, "n": 1 << 26, "functions": functions, "implementations": ("numpy", "eager", "fused")}
        return {**quick, "n": [1 << 12, 1 << 16, 1 << 22]}
    powers = (10, 14, 18, 22, 26, 28) if device_kind == "cuda" else (10, 14, 18, 22, 24)
    return {"n": [1 << power for power in powers], "functions": typing.get_args(FunctionName)}
