"""Names of arms, implementations, parts and metrics of the mixture-of-experts experiment, and what readers call them. Light."""

from __future__ import annotations

from lab.records import Scalar
from workloads.moe_routing.routings import ROUTINGS

# Parts of a run, the dimension "part" of every record.
COUNT, ROUTING, LOSS, LAYER = "count", "routing", "small experts", "layer"

# Arms of the parts that compare sizes of experts.
STANDARD, SMALL, SMALL_ALIGNED = "standard_moe", "small_moe", "small_moe_aligned"
DENSE, DENSE_TOTAL = "dense_ffn", "dense_ffn_total"  # a dense FFN as wide as the standard experts' own d_ff; with the mixture's parameters
DENSE_ACTIVE, DENSE_ACTIVE_SMALL = "dense_ffn_active", "dense_ffn_active_small"  # with the active parameters of either mixture
MIXTURES = (STANDARD, SMALL, SMALL_ALIGNED)
EGYPTIAN_LAYER = "egyptian_layer"

BATCHED, EAGER, GROUPED, FUSED = "batched", "eager", "grouped", "fused"
PRODUCTS = "products"  # a dense FFN as the framework computes it

ACTIVE, BLOCK_ACTIVE, TOTAL, INACTIVE = "active_parameters", "block_active_parameters", "total_parameters", "inactive_share"
TRAIN_LOSS, VALIDATION_LOSS, TEST_LOSS = "train_loss", "validation_loss", "test_loss"
FINAL_LOSS = "final_train_loss"  # mean of the last steps; the others of a curve are means since its last point
VALIDATION_ACCURACY, TEST_ACCURACY = "validation_accuracy", "test_accuracy"
CEILING, CHANCE = "ceiling_accuracy", "chance_accuracy"
LEARNING_RATE = "learning_rate"
TOKEN_ENTROPY, LOAD_ENTROPY, EXPERT_LOAD = "token_entropy", "load_entropy", "expert_load"
ROUTER_GRADIENT = "router_gradient"
DROPPED = "dropped_share"
TRAINING_TIME = "training_s"
WIDTH, FLOP = "ffn_width", "flop_per_call"

# Differences of an arm from its baseline with their intervals over seeds and test items: absolute, and relative to the baseline.
GAIN, RELATIVE_GAIN, LOSS_REDUCTION = "accuracy_gain", "relative_accuracy_gain", "relative_loss_reduction"


def low(metric: str) -> str:
    """The metric that holds the lower end of the interval of ``metric``."""
    return f"{metric}_low"


def high(metric: str) -> str:
    """The metric that holds the upper end of the interval of ``metric``."""
    return f"{metric}_high"


DIMENSIONS = ("part", "data", "step", "expert", "experts", "d_ff", "flaw")


def dimensions_of(part: str, **values: Scalar) -> dict[str, Scalar]:
    """All dimensions of a record of ``part``; those not given are empty. Raises ValueError for one that is not declared."""
    unknown = set(values) - set(DIMENSIONS)
    if unknown:
        raise ValueError(f"dimensions {sorted(unknown)} are not declared")
    return {name: values.get(name, "") for name in DIMENSIONS} | {"part": part}


LABELS = {
    **{name: routing.title for name, routing in ROUTINGS.items()},
    STANDARD: "standard experts",
    SMALL: "small experts",
    SMALL_ALIGNED: "small, width rounded up",
    DENSE: "dense FFN",
    DENSE_ACTIVE: "dense FFN, active as standard",
    DENSE_ACTIVE_SMALL: "dense FFN, active as small",
    DENSE_TOTAL: "dense FFN, all parameters",
    EGYPTIAN_LAYER: "Egyptian mixture",
    BATCHED: "all models in one batch",
    EAGER: "loop over experts",
    GROUPED: "grouped product",
    FUSED: "grouped product, own routing kernels",
    PRODUCTS: "PyTorch",
    COUNT: "count",
}
