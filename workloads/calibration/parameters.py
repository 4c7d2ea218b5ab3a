"""Parameters of the calibration and its presets. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab import shared_parameters
from lab.parameters import Parameters, parameter
from lab.workload import DeviceKind

INJECTED_PERCENT = (1, 5, 20)  # of extra work
BLOCK_CALLS = 100  # kernel calls of the plain arm; the slower arm makes 100 + percent of them, so that the truth is exact


class CalibrationParameters(Parameters):
    """Parameters of the calibration; see each field's help."""

    copy_bytes: int = parameter(
        1 << 27,
        title="Copy size",
        help="Bytes that each copy reads and again writes. Several times the cache, or the cache is measured and not the memory.",
        unit="B",
        ge=1 << 20,
        le=1 << 32,
        scale="log2",
        group="main",
    )
    matrix_n: int = parameter(
        1024,
        title="Matrix side",
        help="Side n of the largest square matrix product; other shapes are made from it.",
        ge=64,
        le=1 << 15,
        scale="log2",
        group="main",
    )
    comparisons: int = parameter(
        100,
        title="Comparisons of an arm with itself",
        help="Each is a complete comparison, as an experiment makes it, of two arms that are the same. 100 are needed to speak of a rate.",
        ge=1,
        le=1000,
        step=1,
        group="main",
    )
    injected_comparisons: int = parameter(
        15,
        title="Comparisons with a known effect",
        help="For each of 1, 5 and 20 % more work: how often an arm is compared with one that does so much more of the same work.",
        ge=1,
        le=1000,
        step=1,
        group="main",
    )
    device_timer: bool = parameter(
        False,
        title="Device timer too",
        help="Compare an arm with itself by graph replay as well, where the device has such a timer.",
    )
    segment_s: float = shared_parameters.segment_s(0.005, step=0.001)
    looks: int = shared_parameters.looks(1)
    precision: float = shared_parameters.precision(0.002, least=0.0001)
    matrix_repeats: int = parameter(
        2,
        title="Repeats of each matrix product",
        help="Each repeat is a pause, a burst and a sustained stretch. Five give an interval.",
        ge=1,
        le=20,
        step=1,
    )
    sustained_s: float = parameter(
        0.3,
        title="Sustained stretch",
        help="How long products run without a pause; the second half of it counts.",
        unit="s",
        ge=0.01,
        le=60.0,
        step=0.1,
    )
    idle_s: float = parameter(
        1.0,
        title="Idle reading",
        help="How long idle power is read, without and with a CUDA context. Only where there is an energy counter.",
        unit="s",
        ge=0.1,
        le=60.0,
        step=0.1,
    )
    seed: int = shared_parameters.seed()


def preset(name: str, device_kind: DeviceKind) -> Mapping[str, Any]:
    """Parameter values of a preset: ``quick`` keeps to 60 s on two CPU cores and 30 s on a GPU, ``thorough`` takes some minutes."""
    sizes = {"copy_bytes": 1 << 30, "matrix_n": 1 << 13} if device_kind == "cuda" else {}
    if name == "quick":
        return {**sizes, "segment_s": 0.002, "injected_comparisons": 10} if device_kind == "cuda" else {}
    longer = {"injected_comparisons": 50, "looks": 3, "matrix_repeats": 5, "sustained_s": 2.0, "idle_s": 3.0}
    if device_kind == "cuda":
        return {**sizes, **longer, "segment_s": 0.01, "injected_comparisons": 30, "device_timer": True}
    return {**longer, "segment_s": 0.02, "copy_bytes": 1 << 28, "matrix_n": 1 << 11}
