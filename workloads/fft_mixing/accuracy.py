"""Accuracy in the sound protocol. Worker side."""

from __future__ import annotations

from collections.abc import Generator

from lab.records import Event
from lab.workload import Context
from workloads.fft_mixing.parameters import FftMixingParameters


def run(params: FftMixingParameters, context: Context) -> Generator[Event, None, None]:
    """Train and test every arm on every task."""
    yield from ()
