"""What the FFT-Mix experiment declares to the lab. Imported by the web server, so nothing here imports torch."""

from __future__ import annotations

from lab.energy import ENERGY_METRICS
from lab.workload import Metric, Workload
from workloads.fft_mixing.charts import charts
from workloads.fft_mixing.costs import duration_s, memory
from workloads.fft_mixing.findings import measure, pairs
from workloads.fft_mixing.names import (
    ACCURACY_GAIN,
    CHANCE,
    DIMENSIONS,
    GAIN_HIGH,
    GAIN_LOW,
    LABELS,
    LEARNING_RATE,
    LONGEST_WINDOW,
    PARAMETER_COUNT,
    SMALLEST_CALL,
    TEST_ACCURACY,
    TRAIN_LOSS,
    VALIDATION_ACCURACY,
    VALIDATION_LOSS,
)
from workloads.fft_mixing.parameters import FftMixingParameters, preset

METHOD = ""

WORKLOAD = Workload(
    name="fft_mixing",
    title="FFT-Mix vs attention",
    question="“FFT-Mix: replace self-attention by windowed FFT mixing at {6, 12, 24}: 3× faster, +0.55 % accuracy, O(n log n).”",
    source="AI Energy Efficiency: 10 Mathematical Techniques (TECS-L, 2026)",
    parameters=FftMixingParameters,
    preset=preset,
    dimensions=DIMENSIONS,
    metrics={
        "latency_s": Metric("Time per call", "s"),
        "device_time_s": Metric("Time on the device", "s"),
        SMALLEST_CALL: Metric("Time of a call on one short sequence", "s", compare="none"),
        "peak_memory_bytes": Metric("Peak memory", "B"),
        "peak_reserved_bytes": Metric("Peak reserved memory", "B", compare="none"),
        **ENERGY_METRICS,
        PARAMETER_COUNT: Metric("Parameters", "1", compare="none"),
        LONGEST_WINDOW: Metric("Longest window", "tokens", "neither", compare="none"),
        TRAIN_LOSS: Metric("Training loss", "nats", compare="none"),
        VALIDATION_LOSS: Metric("Validation loss", "nats", compare="none"),
        VALIDATION_ACCURACY: Metric("Validation accuracy", "%", "higher", compare="none"),
        TEST_ACCURACY: Metric("Test accuracy", "%", "higher", compare="difference"),
        ACCURACY_GAIN: Metric("Test accuracy above attention's", "points", "higher", compare="none"),
        GAIN_LOW: Metric("Lower end of its 95 % interval", "points", "higher", compare="none"),
        GAIN_HIGH: Metric("Upper end of its 95 % interval", "points", "higher", compare="none"),
        LEARNING_RATE: Metric("Learning rate chosen on validation data", "1", "neither", compare="none"),
        CHANCE: Metric("Accuracy of guessing", "%", "neither", compare="none"),
    },
    entry_point="workloads.fft_mixing.experiment:run",
    claims=("fft-acc", "fft-params", "fft-speed", "fft-speed-scaling", "fft-order"),
    duration_s=duration_s,
    memory=memory,
    memory_parameter="tokens",
    measure=measure,
    charts=charts,
    pairs=pairs,
    method=METHOD,
    deadline_s=7200.0,
    labels=LABELS,
)
