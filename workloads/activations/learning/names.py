"""Names of the learning study: metrics, tasks, recipes, and what readers call them. Light."""

from __future__ import annotations

from lab.records import Scalar

DIMENSIONS = ("task", "depth", "learning_rate", "step")  # of every record of the study; "" where one means nothing

# metrics
PUBLISHED_LOSS = "published_loss"  # mean of the last 50 training losses, or the last one of XOR, as the sources measure it
TRAINING_LOSS = "training_loss"  # one point of a curve
VALIDATION_LOSS = "validation_loss"  # one point of a curve
TUNING_LOSS = "tuning_loss"  # of one learning rate
CHOSEN_RATE = "chosen_rate"
HELD_OUT_LOSS = "held_out_loss"
# Held-out loss above the baseline's in percent, and the ends of its 95 % interval for other seeds and other test items.
AGAINST_GELU = ("loss_above_gelu", "loss_above_gelu_low", "loss_above_gelu_high")
AGAINST_PHI6 = ("loss_above_phi6", "loss_above_phi6_low", "loss_above_phi6_high")
EXCESS_TITLES = [
    (metric, name, end)
    for metrics, name in ((AGAINST_GELU, "GELU's"), (AGAINST_PHI6, "Phi6Simple's"))
    for metric, end in zip(metrics, ("", ", lower end", ", upper end"), strict=True)
]
WRONG_SHARE = "wrong_share"  # of points that a network set by hand gets wrong

# tasks
PERMUTATION = "permutation"  # the published toy: one of four permutations, which the input does not show
SHOWN_PERMUTATION = "shown_permutation"  # the same with the permutation in the input
XOR = "xor"  # the sign of a product of two
XOR3 = "xor3"  # the sign of a product of three: no quadratic form
DIGITS = "digits"
TEXT = "text"

# recipes, the ``implementation`` of a record of this study
AS_PUBLISHED = "as_published"
SAME_START = "same_start"
LONGER = "longer"
OWN_RATE = "own_rate"
GELU_RATE = "gelu_rate"
BY_HAND = "by_hand"
TRAINING_STEP = "training_step"  # of all reported seeds together, for joules

DEPTH_TASKS = (DIGITS, TEXT)  # trained at every depth chosen; the others have one hidden layer, as published

TASK_TITLES = {
    PERMUTATION: "the published toy",
    SHOWN_PERMUTATION: "the toy, permutation shown",
    XOR: "XOR (sign of a product of two)",
    XOR3: "sign of a product of three",
    DIGITS: "MLP on digits",
    TEXT: "character model on text",
}

LABELS = {
    AS_PUBLISHED: "as published",
    SAME_START: "same starting weights",
    LONGER: "trained longer",
    OWN_RATE: "own learning rate",
    GELU_RATE: "GELU's learning rate",
    BY_HAND: "two hidden units set by hand",
    TRAINING_STEP: "one training step",
    **TASK_TITLES,
}


def dimensions(task: Scalar = "", depth: Scalar = "", learning_rate: Scalar = "", step: Scalar = "") -> dict[str, Scalar]:
    """The dimensions of one record; what the timing studies use is left empty."""
    own = {"task": task, "depth": depth, "learning_rate": learning_rate, "step": step}
    return {"elements": "", "pass": "", "cache": "", **own}


def timing_dimensions(elements: int, part: str, cache: str) -> dict[str, Scalar]:
    """The dimensions of a record of the timing studies; what learning uses is left empty."""
    return {"elements": elements, "pass": part, "cache": cache, **dict.fromkeys(DIMENSIONS, "")}
