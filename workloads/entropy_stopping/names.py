"""Names of arms, parts and metrics of the early-stopping experiment, and what readers call them. Light."""

from __future__ import annotations

from lab.records import Scalar

# Rules and schedules: the arms of what is compared.
PLATEAU, SMOOTHED = "plateau", "smoothed_plateau"
PATIENCE_LOSS, PATIENCE_ACCURACY = "patience_loss", "patience_accuracy"
FIXED, COSINE = "fixed_budget", "cosine"
TECHNIQUES = (PLATEAU, SMOOTHED)
USUAL = (PATIENCE_LOSS, PATIENCE_ACCURACY, FIXED, COSINE)
WATCHING = (PLATEAU, SMOOTHED, PATIENCE_LOSS, PATIENCE_ACCURACY)  # need an evaluation after every epoch

# Arms that are no rule: the training whose curves the rules read, and what its parts cost.
CONSTANT = "constant_rate"
STEP, EVALUATION = "training_step", "evaluation"

# Parts of a run, the dimension "part" of every record.
CURVE, RULE, COST = "curve", "rule", "cost"

TRAIN, VALIDATION, TEST = "train", "validation", "test"  # the dimension "split"

BATCHED, ALONE = "batched", "alone"  # all seeds trained together; one model alone, whose cost is that of one training

LOSS, ACCURACY, ENTROPY = "loss", "accuracy", "output_entropy"
STOP_EPOCH = "stop_epoch"
LEVEL, CHANGE = "test_accuracy", "accuracy_change"  # with intervals for other seeds and other test items
EPOCH_SHARE = "epoch_share"  # epochs until the stop / epochs of what it is compared with
STEPS_PER_EPOCH, TEST_ITEMS, LEARNING_RATE = "steps_per_epoch", "test_items", "learning_rate"

FULL_BUDGET = "full_budget"  # the dimension "against", or the arm of a usual practice, with its setting

PICKED_ON_TEST, PICKED_ON_VALIDATION = "picked on test data", "picked on validation data"  # in place of a setting
DIVERGED = "the model diverged"

DIMENSIONS = ("part", "model", "data", "split", "epoch", "setting", "against", "against_setting")


def dimensions_of(part: str, **values: Scalar) -> dict[str, Scalar]:
    """All dimensions of a record of ``part``; those not given are empty. Raises ValueError for one that is not declared."""
    unknown = set(values) - set(DIMENSIONS)
    if unknown:
        raise ValueError(f"dimensions {sorted(unknown)} are not declared")
    return {name: values.get(name, "") for name in DIMENSIONS} | {"part": part}


def low(metric: str) -> str:
    """The metric that holds the lower end of the interval of ``metric``."""
    return f"{metric}_low"


def high(metric: str) -> str:
    """The metric that holds the upper end of the interval of ``metric``."""
    return f"{metric}_high"


MODELS = {"difference": "difference of two MLPs", "mlp": "MLP", "cnn": "small CNN"}

LABELS = {
    PLATEAU: "entropy plateau",
    SMOOTHED: "smoothed entropy",
    PATIENCE_LOSS: "patience on validation loss",
    PATIENCE_ACCURACY: "patience on validation accuracy",
    FIXED: "fixed budget",
    COSINE: "cosine schedule",
    FULL_BUDGET: "the full budget",
    CONSTANT: "constant learning rate",
    STEP: "training step",
    EVALUATION: "evaluation",
    BATCHED: "all seeds in one batch",
    ALONE: "one model alone",
    **MODELS,
}
