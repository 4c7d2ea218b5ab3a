"""What the mixture-of-experts experiment declares to the lab. Imported by the web server, so nothing here imports torch."""

from __future__ import annotations

from lab.energy import ENERGY_METRICS
from lab.workload import Metric, Workload
from workloads.moe_routing import names
from workloads.moe_routing.charts import charts
from workloads.moe_routing.costs import duration_s, memory
from workloads.moe_routing.findings import measure, pairs
from workloads.moe_routing.parameters import MoeRoutingParameters, preset

METHOD = ""


def _with_ends(name: str, title: str, unit: str) -> dict[str, Metric]:
    """A metric and the ends of its interval."""
    return {
        name: Metric(title, unit, "higher", compare="none"),
        names.low(name): Metric(f"{title}, lower end", unit, "higher", compare="none"),
        names.high(name): Metric(f"{title}, upper end", unit, "higher", compare="none"),
    }


WORKLOAD = Workload(
    name="moe_routing",
    title="MoE routing entropy",
    question="“Egyptian routing {1/2, 1/3, 1/6}: +8.8 % accuracy, entropy 0.99. Phi MoE, 24 × 4/3: 65 % fewer active parameters.”",
    source="AI Energy Efficiency: 10 Mathematical Techniques (TECS-L, 2026)",
    parameters=MoeRoutingParameters,
    preset=preset,
    dimensions=names.DIMENSIONS,
    metrics={
        names.TEST_ACCURACY: Metric("Test accuracy", "%", "higher", compare="difference", looks=1),
        names.VALIDATION_ACCURACY: Metric("Validation accuracy", "%", "higher", compare="none"),
        **_with_ends(names.GAIN, "Test accuracy above that of equal weights", "points"),
        **_with_ends(names.RELATIVE_GAIN, "Test accuracy relative to that of equal weights", "%"),
        names.CEILING: Metric("Accuracy without naming an unseen class, at most", "%", "neither", compare="none"),
        names.CHANCE: Metric("Accuracy of guessing", "%", "neither", compare="none"),
        names.LEARNING_RATE: Metric("Learning rate chosen", "1", "neither", compare="none"),
        names.TOKEN_ENTROPY: Metric("Entropy of a token's weights / ln E", "1", "neither", compare="none"),
        names.LOAD_ENTROPY: Metric("Entropy of the mean load / ln E", "1", "neither", compare="none"),
        names.EXPERT_LOAD: Metric("Share of the load", "1", "neither", compare="none"),
        names.ROUTER_GRADIENT: Metric("Gradient norm at the router", "1", "neither", compare="none"),
        names.DROPPED: Metric("Assignments beyond capacity", "%", "lower", compare="none"),
        names.TRAINING_TIME: Metric("Time of the batched training", "s", compare="none"),
        names.ACTIVE: Metric("Active parameters per token", "1", compare="none"),
        names.BLOCK_ACTIVE: Metric("Active parameters per token, block with attention", "1", compare="none"),
        names.TOTAL: Metric("Total parameters", "1", compare="none"),
        names.INACTIVE: Metric("Share of inactive parameters", "%", "higher", compare="none"),
        names.TRAIN_LOSS: Metric("Training loss", "nats", compare="none"),
        names.VALIDATION_LOSS: Metric("Validation loss", "nats", compare="none"),
        names.TEST_LOSS: Metric("Test loss", "nats", compare="difference", looks=1),
        **_with_ends(names.LOSS_REDUCTION, "Loss below that of the standard experts", "%"),
        names.WIDTH: Metric("Width of an expert", "1", "neither", compare="none"),
        names.FLOP: Metric("Operations of a call", "1", compare="none"),
        "latency_s": Metric("Time per call", "s"),
        "device_time_s": Metric("Time on the device", "s"),
        "peak_memory_bytes": Metric("Peak memory", "B"),
        "peak_reserved_bytes": Metric("Peak reserved memory", "B", compare="none"),
        **ENERGY_METRICS,
    },
    entry_point="workloads.moe_routing.experiment:run",
    claims=("moe-egyptian", "moe-entropy", "moe-active", "moe-loss", "moe-inactive"),
    duration_s=duration_s,
    memory=memory,
    memory_parameter="tokens",
    measure=measure,
    charts=charts,
    pairs=pairs,
    method=METHOD,
    deadline_s=7200.0,
    labels=names.LABELS,
)
