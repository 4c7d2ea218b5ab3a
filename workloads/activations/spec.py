"""What the activation experiment declares to the lab. Imported by the web server, so nothing here imports torch."""

from __future__ import annotations

from lab.energy import ENERGY_METRICS
from lab.workload import Metric, Workload
from workloads.activations.charts import charts
from workloads.activations.costs import duration_s, memory
from workloads.activations.findings import LABELS, measure, pairs
from workloads.activations.learning import names as learning
from workloads.activations.parameters import ActivationParameters, preset

METHOD = """
**What one observation is.** A mirrored pass over all arms (A B C C B A), each segment many back-to-back calls; the log of the ratio
is taken within the pass, so that a slow drift of the machine cancels. Intervals are 95 % t intervals of the log ratio, widened for the
three looks at 10, 20 and 40 observations and for autocorrelation.

**Time per call** is what a user feels: calls launched one after the other, the device synchronised at both ends. **Time on the
device** is a replay of a CUDA graph of at least 50 launches, without launch overhead; a CPU has no such timer.

**Inputs** are standard normal. **Cold**: they rotate through buffers of at least four times the cache, so that every call reads memory;
where the number of buffers (512) or their bytes (1 GiB) are too few for that, the cache is called *partial* and the reason says how much of
it is covered. **Warm**: the same input at every call, ten observations. Verdicts rest on cold (partial where nothing colder was
measured), never on warm. The **copy** moves the same bytes and computes nothing: no elementwise function can beat it.

**Inside an FFN** the whole block x → W₁ → activation → W₂ is measured, forward, without biases: every activation in every implementation
(compiled means the whole block), and the two products alone. `elements` is then tokens × d_ff, what the activation sees, and products cost
4 · tokens · d_model · d_ff operations. Beside it one GELU at several widths (`ffn_widths`): the standard 4×, floor(expansion × d_model),
and this rounded up to multiples of 64 and 128. Products in fp32 run in fp32 (no TF32). Where a call is estimated to take over 5 ms only
the time per call is measured. N is not used, and cells that differ in what a mode does not use are measured once. No verdict rests on
this mode.

**Energy**, where asked for and where the GPU has a counter, is measured in the cell with the most elements: of each function the eager arm
and the fastest single kernel, and the copy, in replayed graphs; windows between ticks of the board's own counter, mirrored like the
times. The number of observations is fixed beforehand. Joules above idle subtract the idle power with a live context. Host and power
supply are not in it. Joules and the integral of the board's power come from one sensor; a difference above 5 % is flagged.

**As published**: NumPy on one million fp32 numbers, the expressions as printed, GELU with its cube written `x**3`; beside it the same
with powers written as products, and PyTorch's CPU kernels. **Best against best**: the fastest implementation of each side that was
measured on this machine.

**Learning, as published**: the toy (one of four permutations of 32 classes, which the input does not show, so that 1.31 nats are
irreducible) and XOR, by plain gradient descent at one rate for 500 steps; the training loss is what is reported. Every run is repeated
with other seeds, since one run has no interval; then with the same starting weights for all functions, with each function's own rate
(chosen on other seeds), and over more steps. One logit and the binary cross-entropy are assumed for XOR, which the sources do not say.

**Learning, soundly**: Adam without weight decay, a tenth of the steps to warm up, then half a cosine to zero; each function's learning
rate is the best of a grid by validation loss, on seeds that are not reported; the grid is extended where the best lies on its edge.
Reported seeds are paired: same data order, same start. Each Phi6Simple and ZetaLn2 is also trained at GELU's rate: the unchanged recipe
of a drop-in replacement. Test data is used once. Intervals are for other seeds and other test items. **Drop-in** is non-inferiority by
1 % of the held-out loss at every depth: the worst combination of task and depth decides. Its upper end needs no adjustment (an
intersection–union test), its lower end is taken at 1 − 0.05/k for k combinations (Bonferroni). A seed that diverged is not dropped but
charged the loss of guessing, the least it can cost. The budget of steps is fixed: losses are those after that many steps. MLPs start
from He-scaled normal weights, the character model from the framework's defaults. Joules are those of one training step of all reported
seeds together; trainings of one model alone cost more than their share of it.

**Operations** are counted by running the printed expression on numbers that count; a transcendental function counts as one operation.
**Suppression** is 1 − E|f(x)| over negative inputs / E|f(x)| over positive ones for standard normal inputs.
"""

WORKLOAD = Workload(
    name="activations",
    title="Activation speed",
    question="“Phi6Simple: drop-in GELU replacement, 8× faster, 71 % fewer FLOPs.”",
    source="AI Energy Efficiency: 10 Mathematical Techniques (TECS-L, 2026)",
    parameters=ActivationParameters,
    preset=preset,
    dimensions=("elements", "pass", "cache", *learning.DIMENSIONS),
    metrics={
        "latency_s": Metric("Time per call", "s"),
        "device_time_s": Metric("Time on the device", "s"),
        "peak_memory_bytes": Metric("Peak memory", "B", compare="none"),
        "peak_reserved_bytes": Metric("Peak reserved memory", "B", compare="none"),
        "operations_per_element": Metric("Operations per element", "1", compare="none"),
        "transcendentals_per_element": Metric("Transcendental functions per element", "1", compare="none"),
        "bytes_per_element": Metric("Bytes per element", "B", compare="none"),
        "ffn_width": Metric("Width of the hidden layer", "1", "neither", compare="none"),
        "flop_per_call": Metric("Operations of the block's products", "1", compare="none"),
        **ENERGY_METRICS,
        "suppression": Metric("Suppression of negative inputs", "1", "higher", compare="none"),
        "minimum": Metric("Smallest output", "1", "neither", compare="none"),
        learning.PUBLISHED_LOSS: Metric("Training loss, as the sources report it", "nats"),
        learning.TRAINING_LOSS: Metric("Training loss", "nats", compare="none"),
        learning.TUNING_LOSS: Metric("Loss at a learning rate", "nats", compare="none"),
        learning.CHOSEN_RATE: Metric("Chosen learning rate", "1", "neither", compare="none"),
        learning.VALIDATION_LOSS: Metric("Validation loss", "nats", compare="none"),
        learning.HELD_OUT_LOSS: Metric("Held-out loss", "nats", compare="none"),
        learning.WRONG_SHARE: Metric("Share of points labelled wrongly", "1", compare="none"),
        **{metric: Metric(f"Held-out loss above {name}{end}", "%", compare="none") for metric, name, end in learning.EXCESS_TITLES},
    },
    entry_point="workloads.activations.experiment:run",
    claims=(
        "act-speed-phi6",
        "act-speed-zeta",
        "act-flops-phi6",
        "act-flops-zeta",
        "act-gating",
        "act-loss-phi6",
        "act-loss-zeta",
        "act-dropin",
    ),
    duration_s=duration_s,
    memory=memory,
    memory_parameter="n",
    measure=measure,
    charts=charts,
    pairs=pairs,
    notice=(
        "The published 8× compares NumPy expressions in which the cube of GELU is written `x**3`. NumPy computes that with a general power "
        "function; “The published benchmark taken apart” shows what is left when it is written x·x·x.",
        "Every elementwise function must move the same bytes. Where one kernel of each runs at the speed of the copy, as on a GPU with a "
        "large tensor, fewer operations cannot save time. Where GELU stays far below the copy, as on many CPUs, arithmetic costs time too.",
        "Written as separate tensor operations, as published, Phi6Simple moves several times the bytes of one kernel: compare eager with "
        "compiled or fused.",
        "Joules, where the device has a counter, are compared like times. They can differ where times do not: read both.",
        "Inside a feed-forward block the activation stands beside two matrix products: its share of the block's time is the most that any "
        "other activation could save.",
        "The published training losses are compared at one learning rate, for 500 steps, on a task whose best possible loss is 1.31 nats. "
        "“The published toy taken apart” shows what is left when each function has its own rate.",
        "XOR is the sign of a product of two, which a quadratic represents exactly; beside it stands the sign of a product of three.",
        "A drop-in replacement must hold at every depth: a square of a square of a square grows, so look at the deepest models.",
        "ZetaLn2 touches zero at one point and grows again to the left: it passes negative inputs more strongly than positive ones.",
    ),
    method=METHOD,
    deadline_s=7200.0,
    labels={**LABELS, "idle": "idle GPU"},
)
