"""What the early-stopping experiment declares to the lab. Imported by the web server, so nothing here imports torch."""

from __future__ import annotations

from lab.energy import ENERGY_METRICS
from lab.workload import Metric, Workload
from workloads.entropy_stopping import names
from workloads.entropy_stopping.charts import charts
from workloads.entropy_stopping.costs import duration_s, memory
from workloads.entropy_stopping.exploring import EXPLORE
from workloads.entropy_stopping.findings import measure
from workloads.entropy_stopping.parameters import EntropyStoppingParameters, preset

METHOD = """
**Rules.** After every epoch the model is evaluated, and a rule looks at the curve so far. *Entropy plateau* (published): the mean Shannon
entropy H of the predicted distributions, in nats, moved by less than the threshold for as many epochs in a row as the window says.
*Smoothed entropy* (the report's code): the average m ← 0.9 m + 0.1 H moved by less than the threshold once. *Patience* (usual practice):
the best validation loss or accuracy is so many epochs old; the parameters of that epoch are kept. *Fixed budget*: fewer epochs at the same
constant rate. *Cosine schedule*: as many epochs, the rate falling to 0 over just these; it cannot be read off another training, so each
length is trained for itself.

**Published protocol.** All training images (the validation part included), Adam at the learning rate given, batches of 128, dropout 0.3.
The rule looks at the *test* data; the threshold is picked when the test accuracies are known. The source does not say how: the lab takes,
for each seed, the one that saves the most at no more than half a point lost, which serves the claim best. Energy is the share of epochs not
run. The source trains once; here every seed is one such experiment.

**Sound protocol.** The rules look at the validation part. The threshold is fixed beforehand. The learning rate of the constant-rate
training, and that of each cosine schedule, is chosen on validation data with two other seeds. All seeds train as one batched model; the
parameters after each epoch are kept, and the test part is used once, when nothing is left to choose. Two comparisons: with the full budget
(the claim's own), and with the best usual practice. For accuracy that is the practice with the highest validation accuracy among those
that cost no more than the rule; for energy it is the cheapest whose validation accuracy is at least the rule's.

**Cost.** Until a rule stops after e epochs a training costs e × (steps per epoch × one step + one evaluation, where the rule needs it). A
step (batch gathered, forward, backward, Adam) and an evaluation of the validation part are measured for *one* model, as what one training
costs: in time, and in joules of the whole GPU board where it has a counter and joules were asked for. The last, smaller batch of an epoch
counts as a whole step. Without a counter there are no joules, and no verdict on energy in the sound protocol; epochs and time are told.

**Intervals.** Accuracies: for other seeds and other test items, both drawn at random (two-way table with Satterthwaite's degrees of
freedom). Stopping epochs: Student's t over seeds. Differences are paired by seed and item.

**A model that diverges** has no accuracy and no stop after that epoch; means over seeds that lack one say so.

**The published model** is the difference of two MLPs. As a function it is one MLP of twice the width.
"""

NOTICE = (
    "How much an entropy rule saves is a choice: its threshold. The same rule with thresholds from 0.005 to 0.05 saves nothing or most of "
    "the epochs, each at its own loss of accuracy. Compare curves, not single points.",
    "Saving epochs is easy: a budget of fewer epochs does it without looking at anything. A rule earns its evaluations only where it lies "
    "above the fixed budgets and the shorter cosine schedules at the same cost.",
    "An entropy that stands still says that predictions no longer change in confidence, right or wrong. At a low learning rate it also "
    "stands still at the very beginning: there the smoothed rule stops an untrained model.",
    "The sources disagree: 66.7 % of the training energy saved, or 33 % of the time at 66.7 % of the epochs. Of 30 epochs the one means a "
    "stop at epoch 10, the other at epoch 20.",
    "No watched rule is free: after every epoch it evaluates the whole validation part. Where it never stops, it costs more than it saves.",
)


def _with_ends(name: str, title: str, unit: str) -> dict[str, Metric]:
    """A metric and the ends of its interval."""
    return {
        name: Metric(title, unit, "higher", compare="none"),
        names.low(name): Metric(f"{title}, lower end", unit, "higher", compare="none"),
        names.high(name): Metric(f"{title}, upper end", unit, "higher", compare="none"),
    }


WORKLOAD = Workload(
    name="entropy_stopping",
    title="Entropy early stop",
    question="“Stop training when Shannon entropy change < threshold: saves 66.7 % training energy with only −0.20 % accuracy loss.”",
    source="AI Energy Efficiency: 10 Mathematical Techniques (TECS-L, 2026)",
    parameters=EntropyStoppingParameters,
    preset=preset,
    dimensions=names.DIMENSIONS,
    metrics={
        names.ENTROPY: Metric("Mean output entropy", "nats", "neither", compare="none"),
        names.ACCURACY: Metric("Accuracy", "%", "higher", compare="none"),
        names.LOSS: Metric("Loss", "nats", compare="none"),
        names.TEST_ITEMS: Metric("Test items", "1", "neither", compare="none"),
        names.STOP_EPOCH: Metric("Epochs until the rule stops", "epochs", compare="none"),
        names.EPOCH_SHARE: Metric("Epochs, as a share of those of what it is compared with", "1", compare="none"),
        **_with_ends(names.LEVEL, "Test accuracy when stopped", "%"),
        **_with_ends(names.CHANGE, "Change of test accuracy", "points"),
        names.STEPS_PER_EPOCH: Metric("Steps of an epoch", "1", "neither", compare="none"),
        names.LEARNING_RATE: Metric("Learning rate", "1", "neither", compare="none"),
        "latency_s": Metric("Time per call", "s", compare="none"),
        "device_time_s": Metric("Time on the device", "s", compare="none"),
        **ENERGY_METRICS,
    },
    entry_point="workloads.entropy_stopping.experiment:run",
    claims=("stop-energy", "stop-acc"),
    duration_s=duration_s,
    memory=memory,
    memory_parameter="seeds",
    measure=measure,
    charts=charts,
    method=METHOD,
    notice=NOTICE,
    deadline_s=7200.0,
    labels=names.LABELS,
    explore=EXPLORE,
)
