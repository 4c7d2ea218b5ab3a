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

METHOD = """
**Layers.** One layer with its projections, x [B, N, d] → [B, N, d], on standard normal tokens; B sequences fill the tokens asked for.
FFT-Mix *as published* is written with `torch.fft`: per window pad, cut, real FFT, learned real filter, inverse FFT; the scales side by
side, one linear layer back to d. *All scales in one pass* computes the same function: on a GPU one own kernel before the projection, on a
CPU products with small matrices. Attention *as published* is the framework's multi-head module called so that it also returns its
weights, which turns its fused path off; *fused* is scaled dot-product attention with the backend that is fastest at this very N, chosen
by measurement and named in the record. Both sides have the same width and hold their projections. Every fast layer is compared with
float64 on the end of the batch's last sequence before it is timed. Where a comparison would hold N × N matrices beyond the limit, or a
call would take over 20 s, the arm is left out with the reason.

**Time** is measured in mirrored passes over all arms (A B C C B A), the log of a ratio taken within the pass; 95 % t intervals, widened
for the looks at 10, 20 and 40 observations and for autocorrelation. Inputs rotate through four times the cache; weights stay where they
are. *Time on the device* (graph replay) is taken where launching is not hidden: where a call takes less than three times that arm's call
on 64 tokens.

**Exponents** are slopes of log time per sequence over log N, a t interval, at least five N, launch-bound calls left out. **Crossovers**
are interpolated in log N and log time between neighbouring N. **The limit** is what no FFT-Mix layer can do without: its projection as
one product, and one pass over the activations, both measured.

**Training step, published shapes.** 64 images of 28 tokens × 28 features, two pre-norm blocks, Adam, on the CPU as published. The source
does not state the width. With d_model = 28, no input projection and no last norm the attention model has exactly the stated 14,234
parameters; FFT-Mix as described then has 13,842, not 12,994.

**Accuracy, published protocol.** One seed, Adam at 0.001, batches of 64. Images are MNIST where it can be had (it is downloaded once,
about 15 MB, only when a run asks for images), else the folder of IDX files in `$EFFICIENCY_LAB_IDX`, else scikit-learn's digits as 64
one-pixel tokens; which, is named. The claim about MNIST gets a verdict from MNIST only.

**Accuracy, sound protocol.** The same small classifier around each mixer (width 32, two blocks), Adam with warm-up and half a cosine. All
seeds train together as one batched model, each as it would alone. Learning rates are tuned for each mixer on validation data with other
seeds; test data is used once. Intervals of a difference hold for other seeds and other test items (two-way random effects). *Associative
recall*: eight key-value pairs, then a key; read out at that key. *Copy*: the token a fixed distance before the last. The question stands
at the end of a window, where a window sees furthest back.

**Energy**, where asked for and where the GPU has a counter: joules per call at one N, of FFT-Mix and attention as published and fastest,
between ticks of the board's own counter. Host and power supply are not in it.
"""

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
        "peak_memory_bytes": Metric("Peak memory", "B", compare="none"),
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
    notice=(
        "The published 3× is against attention that returns its weights, which forbids the fused kernels that everybody uses. Compare "
        "“as published” with “best against best” in the same run.",
        "At the published 28 tokens there is hardly anything to mix: overheads decide. The gains at 4,096 and 8,192 tokens were "
        "estimated by the source; here they are measured.",
        "A window does not grow with N, so FFT-Mix takes time in proportion to N, not n log n: its lead over attention keeps growing. "
        "That is because it gives up looking further: a depthwise convolution of the same reach does too.",
        "No token learns anything from outside its window, however many layers there are, as windows of 6, 12 and 24 lie within each "
        "other. Images that are averaged over all tokens do not punish that. A question whose answer stands 32 tokens back does.",
        "Within its window FFT-Mix weighs tokens by place, never by content: enough to copy from a fixed place, not to look a key up "
        "where the layers around it do not help.",
        "A mixer that fails copy beyond its window lacks reach. One that solves copy and fails recall lacks content.",
    ),
    method=METHOD,
    deadline_s=7200.0,
    labels=LABELS,
)
